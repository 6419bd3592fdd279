/* A pixel q of a plane stands for scale * (q - zero). A sum is scaled by an integer multiplier and
   a power of two, and rounded to the nearest; halves are rounded up. */
#define DST_LOWEST INT8_MIN
#define DST_ZERO(step) dst_zeros[step]

static int32_t dst_at_least(int32_t x, int32_t bound) { return bound > x ? bound : x; }

/* Whether a pixel is the new maximum. */
static int dst_replaces(int8_t x, int8_t best) { return x > best; }

/* Shifted as an unsigned number: C does not define the shift of a negative one. */
static int8_t dst_rescaled(int32_t sum, size_t number, int32_t zero)
{
    const uint64_t offset = (uint64_t)1 << 62;
    const int shift = dst_rescale_shifts[number];
    const uint64_t half = shift > 0 ? (uint64_t)1 << (shift - 1) : 0;
    const uint64_t product = (uint64_t)((int64_t)sum * dst_multipliers[number]) + half + offset;
    const int64_t q = (int64_t)(product >> shift) - (int64_t)(offset >> shift) + zero;
    return (int8_t)(q < INT8_MIN ? INT8_MIN : q > INT8_MAX ? INT8_MAX : q);
}

/* Adds one term to a row of sums. Pixels outside the plane are zeros. */
static void dst_add_row(const int8_t *plane, int32_t row, const dst_shape *shape, int32_t zero,
                        int32_t coefficient, size_t tap)
{
    const int32_t width = shape[DST_OUT_COLUMNS], shift = dst_tap_columns[tap];
    const int32_t clip = dst_tap_clip[tap], outside = coefficient * dst_at_least(0, clip);
    int32_t c = 0, left = shift < 0 ? -shift : 0, right = shift > 0 ? width - shift : width;
    if (row < 0 || row >= shape[DST_OUT_ROWS] || left >= right) {
        left = right = width;
    }
    for (; c < left; c++) {
        dst_sums[c] += outside;
    }
    for (; c < right; c++) {
        dst_sums[c] += coefficient * dst_at_least(plane[row * width + c + shift] - zero, clip);
    }
    for (; c < width; c++) {
        dst_sums[c] += outside;
    }
}

/* Row by row, so that the result may replace a plane that is read at this row or below. */
static void dst_linear(int8_t *out, const dst_shape *shape, dst_cursor *at)
{
    const int32_t height = shape[DST_OUT_ROWS], width = shape[DST_OUT_COLUMNS];
    const size_t count = dst_counts[at->sum];
    for (int32_t r = 0; r < height; r++, out += width) {
        for (int32_t c = 0; c < width; c++) {
            dst_sums[c] = dst_bias[at->sum];
        }
        for (size_t k = 0; k < count; k++) {
            const size_t tap = dst_taps[at->tap + k], plane = dst_planes[at->term + k];
            const int32_t weight = dst_coefficients[at->coefficient + k];
            dst_add_row(dst_arena + dst_place[plane], r + dst_tap_rows[tap], shape,
                        dst_zeros[plane], weight * (1 << dst_tap_doublings[tap]), tap);
        }
        for (int32_t c = 0; c < width; c++) {
            dst_sums[c] = shape[DST_RELU] ? dst_at_least(dst_sums[c], 0) : dst_sums[c];
            out[c] = dst_rescaled(dst_sums[c], at->rescaled, dst_zeros[at->step]);
        }
    }
    at->term += count;
    at->tap += count;
    at->coefficient += count;
    at->sum++;
    at->rescaled++;
}

static void dst_mean(int8_t *out, const int8_t *in, const dst_shape *shape, dst_cursor *at)
{
    const int32_t pixels = shape[DST_IN_ROWS] * shape[DST_IN_COLUMNS];
    const int32_t clip = dst_tap_clip[dst_taps[at->tap++]], zero = dst_zeros[dst_planes[at->term]];
    dst_sums[0] = 0;
    for (int32_t i = 0; i < pixels; i++) {
        dst_sums[0] += dst_at_least(in[i] - zero, clip);
    }
    *out = dst_rescaled(dst_sums[0], at->rescaled++, dst_zeros[at->step]);
}

/* A pixel is a byte - 128, so that a normalised number is rounded to a byte. NaN becomes 0. */
static void dst_read_image(int8_t *out, const dst_image *image, size_t channel, size_t step)
{
    (void)step;
    for (size_t i = 0; i < DST_HEIGHT * DST_WIDTH; i++) {
        if (image->bytes) {
            out[i] = (int8_t)(image->bytes[i * DST_CHANNELS + channel] - 128);
        } else {
            const float x = image->normalised[channel * DST_HEIGHT * DST_WIDTH + i];
            const float byte = x * dst_stds[channel] + dst_means[channel] + 0.5f;
            out[i] = (int8_t)((byte >= 255.0f ? 255 : byte > 0.0f ? (int32_t)byte : 0) - 128);
        }
    }
}

static float dst_logit(size_t number, const int8_t *out, const dst_shape *shape, size_t step)
{
    const int summed = shape[DST_KIND] == DST_LINEAR || shape[DST_KIND] == DST_MEAN;
    return dst_logit_scales[number] * (float)(summed ? dst_sums[0] : *out - dst_zeros[step]);
}

#ifdef DST_OBSERVE
static float dst_real(int8_t pixel, size_t step)
{
    return dst_scales[step] * (float)(pixel - dst_zeros[step]);
}
#endif

