
#ifdef DST_SELF_TEST
#include <stdio.h>

/* Compares the logits of images with those expected. The bytes of the images, one after the other,
   are the high bytes of x = 1664525 x + 1013904223 modulo 2^32, which begins with 0. */
int main(void)
{
    static uint8_t image[DST_HEIGHT * DST_WIDTH * DST_CHANNELS];
    float logits[DST_CLASSES], largest = 1e-3f, difference = 0.0f;
    uint32_t x = 0;
    int defined = 1;
    for (size_t n = 0; n < DST_TEST_IMAGES; n++) {
        for (size_t i = 0; i < sizeof image; i++) {
            x = (uint32_t)(1664525u * (uint64_t)x + 1013904223u);
            image[i] = (uint8_t)(x >> 24);
        }
        dst_infer_bytes(image, logits);
        for (size_t i = 0; i < DST_CLASSES; i++) {
            const float expected = dst_expected[n][i], d = logits[i] - expected;
            largest = expected > largest ? expected : -expected > largest ? -expected : largest;
            difference = d > difference ? d : -d > difference ? -d : difference;
            defined = defined && d == d;
        }
    }
    printf("largest difference %g of largest logit %g\n", (double)difference, (double)largest);
    return defined && difference <= DST_TOLERANCE * largest ? 0 : 1;
}
#endif
