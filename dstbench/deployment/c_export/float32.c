#define DST_LOWEST (-3.4e38f) /* below every pixel */
#define DST_ZERO(step) 0.0f

/* The greater of both; NaN stays NaN. */
static float dst_at_least(float x, float bound) { return bound > x ? bound : x; }

/* Whether a pixel is the new maximum. NaN is. */
static int dst_replaces(float x, float best) { return best == best && !(x <= best); }

/* Adds one term to a row of sums. Pixels outside the plane are zeros. */
static void dst_add_row(const float *plane, int32_t row, const dst_shape *shape, float coefficient,
                        size_t tap)
{
    const int32_t width = shape[DST_OUT_COLUMNS], shift = dst_tap_columns[tap];
    const float clip = dst_tap_clip[tap], outside = coefficient * dst_at_least(0.0f, clip);
    int32_t c = 0, left = shift < 0 ? -shift : 0, right = shift > 0 ? width - shift : width;
    if (row < 0 || row >= shape[DST_OUT_ROWS] || left >= right) {
        left = right = width;
    }
    for (; c < left; c++) {
        dst_sums[c] += outside;
    }
    for (; c < right; c++) {
        dst_sums[c] += coefficient * dst_at_least(plane[row * width + c + shift], clip);
    }
    for (; c < width; c++) {
        dst_sums[c] += outside;
    }
}

/* Row by row, so that the result may replace a plane that is read at this row or below. */
static void dst_linear(float *out, const dst_shape *shape, dst_cursor *at)
{
    const int32_t height = shape[DST_OUT_ROWS], width = shape[DST_OUT_COLUMNS];
    const size_t count = dst_counts[at->sum];
    size_t coefficients = at->coefficient;
    for (int32_t r = 0; r < height; r++, out += width) {
        coefficients = at->coefficient;
        for (int32_t c = 0; c < width; c++) {
            dst_sums[c] = dst_bias[at->sum];
        }
        for (size_t k = 0; k < count; k++) {
            const size_t tap = dst_taps[at->tap + k];
            const float *plane = dst_arena + dst_place[dst_planes[at->term + k]];
            const float coefficient = dst_tap_one[tap] ? 1.0f : dst_coefficients[coefficients++];
            dst_add_row(plane, r + dst_tap_rows[tap], shape, coefficient, tap);
        }
        for (int32_t c = 0; c < width; c++) {
            out[c] = shape[DST_RELU] ? dst_at_least(dst_sums[c], 0.0f) : dst_sums[c];
        }
    }
    at->term += count;
    at->tap += count;
    at->coefficient = coefficients;
    at->sum++;
}

static void dst_mean(float *out, const float *in, const dst_shape *shape, dst_cursor *at)
{
    const int32_t pixels = shape[DST_IN_ROWS] * shape[DST_IN_COLUMNS];
    const float clip = dst_tap_clip[dst_taps[at->tap++]];
    float sum = 0.0f;
    for (int32_t i = 0; i < pixels; i++) {
        sum += dst_at_least(in[i], clip);
    }
    *out = sum / (float)pixels;
}

static void dst_read_image(float *out, const dst_image *image, size_t channel, size_t step)
{
    (void)step;
    for (size_t i = 0; i < DST_HEIGHT * DST_WIDTH; i++) {
        if (image->bytes) {
            const float pixel = (float)image->bytes[i * DST_CHANNELS + channel] / 255.0f;
            out[i] = (pixel - dst_means[channel]) / dst_stds[channel];
        } else {
            out[i] = image->normalised[channel * DST_HEIGHT * DST_WIDTH + i];
        }
    }
}

static float dst_logit(size_t number, const float *out, const dst_shape *shape, size_t step)
{
    (void)number, (void)shape, (void)step;
    return *out;
}

#ifdef DST_OBSERVE
static float dst_real(float pixel, size_t step)
{
    (void)step;
    return pixel;
}
#endif

