enum { DST_LINEAR, DST_SAMPLE, DST_MAXIMUM, DST_MEAN, DST_IMAGE, DST_CONSTANT }; /* kinds */
enum { /* columns of dst_shapes: rows before columns */
    DST_KIND, DST_RELU, DST_OUT_ROWS, DST_OUT_COLUMNS, DST_IN_ROWS, DST_IN_COLUMNS,
    DST_FIRST_ROW, DST_FIRST_COLUMN, /* origin of a sample, minus the padding of a maximum */
    DST_STRIDE_ROWS, DST_STRIDE_COLUMNS, DST_WINDOW_ROWS, DST_WINDOW_COLUMNS
};

/* Where the next numbers of each table are: every step takes those that it needs. */
typedef struct {
    size_t step, term, tap, coefficient, sum, row, column, pixel;
} dst_cursor;

/* What the image is read from: one of the two. */
typedef struct {
    const float *normalised;
    const uint8_t *bytes;
} dst_image;

/* The greater of both; NaN stays NaN. */
static float dst_at_least(float x, float bound) { return bound > x ? bound : x; }

/* Adds one term to a row of sums. Pixels outside the plane are zeros. */
static void dst_add_row(float *sums, const float *plane, int32_t row, const dst_shape *shape,
                        float coefficient, size_t tap)
{
    const int32_t width = shape[DST_OUT_COLUMNS], shift = dst_tap_columns[tap];
    const float clip = dst_tap_clip[tap], outside = coefficient * dst_at_least(0.0f, clip);
    int32_t c = 0, left = shift < 0 ? -shift : 0, right = shift > 0 ? width - shift : width;
    if (row < 0 || row >= shape[DST_OUT_ROWS] || left >= right) {
        left = right = width;
    }
    for (; c < left; c++) {
        sums[c] += outside;
    }
    if (left < right) {
        plane += row * width + shift;
    }
    for (; c < right; c++) {
        sums[c] += coefficient * dst_at_least(plane[c], clip);
    }
    for (; c < width; c++) {
        sums[c] += outside;
    }
}

/* Row by row, so that the result may replace a plane that is read at this row or below. */
static void dst_linear(float *out, const dst_shape *shape, dst_cursor *at)
{
    const int32_t height = shape[DST_OUT_ROWS], width = shape[DST_OUT_COLUMNS];
    const size_t count = dst_counts[at->sum];
    const float bias = dst_bias[at->sum];
    size_t coefficients = 0;
    for (int32_t r = 0; r < height; r++, out += width) {
        coefficients = at->coefficient;
        for (int32_t c = 0; c < width; c++) {
            dst_sums[c] = bias;
        }
        for (size_t k = 0; k < count; k++) {
            const size_t tap = dst_taps[at->tap + k];
            const float *plane = dst_arena + dst_place[dst_planes[at->term + k]];
            const float coefficient = dst_tap_one[tap] ? 1.0f : dst_coefficients[coefficients++];
            dst_add_row(dst_sums, plane, r + dst_tap_rows[tap], shape, coefficient, tap);
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

static void dst_sample(float *out, const float *in, const dst_shape *shape)
{
    for (int32_t r = 0; r < shape[DST_OUT_ROWS]; r++) {
        const int32_t row = shape[DST_FIRST_ROW] + r * shape[DST_STRIDE_ROWS];
        const int inside = row >= 0 && row < shape[DST_IN_ROWS];
        for (int32_t c = 0; c < shape[DST_OUT_COLUMNS]; c++) {
            const int32_t column = shape[DST_FIRST_COLUMN] + c * shape[DST_STRIDE_COLUMNS];
            *out++ = inside && column >= 0 && column < shape[DST_IN_COLUMNS]
                         ? in[row * shape[DST_IN_COLUMNS] + column]
                         : 0.0f;
        }
    }
}

static void dst_maximum(float *out, const float *in, const dst_shape *shape)
{
    for (int32_t r = 0; r < shape[DST_OUT_ROWS]; r++) {
        for (int32_t c = 0; c < shape[DST_OUT_COLUMNS]; c++) {
            const int32_t top = shape[DST_FIRST_ROW] + r * shape[DST_STRIDE_ROWS];
            const int32_t left = shape[DST_FIRST_COLUMN] + c * shape[DST_STRIDE_COLUMNS];
            float best = DST_NO_CLIP;
            for (int32_t i = top; i < top + shape[DST_WINDOW_ROWS]; i++) {
                for (int32_t j = left; j < left + shape[DST_WINDOW_COLUMNS]; j++) {
                    if (i >= 0 && i < shape[DST_IN_ROWS] && j >= 0 && j < shape[DST_IN_COLUMNS]) {
                        const float x = in[i * shape[DST_IN_COLUMNS] + j];
                        best = x > best || x != x ? x : best;
                    }
                }
            }
            *out++ = best;
        }
    }
}

static void dst_mean(float *out, const float *in, const dst_shape *shape, float clip)
{
    const int32_t pixels = shape[DST_IN_ROWS] * shape[DST_IN_COLUMNS];
    float sum = 0.0f;
    for (int32_t i = 0; i < pixels; i++) {
        sum += dst_at_least(in[i], clip);
    }
    *out = sum / (float)pixels;
}

static void dst_read_image(float *out, const dst_image *image, size_t channel)
{
    for (size_t i = 0; i < DST_HEIGHT * DST_WIDTH; i++) {
        if (image->bytes) {
            const float pixel = (float)image->bytes[i * DST_CHANNELS + channel] / 255.0f;
            out[i] = (pixel - dst_means[channel]) / dst_stds[channel];
        } else {
            out[i] = image->normalised[channel * DST_HEIGHT * DST_WIDTH + i];
        }
    }
}

/* A constant plane is stored as its distinct rows and columns. */
static void dst_constant(float *out, const dst_shape *shape, dst_cursor *at)
{
    const size_t rows = (size_t)shape[DST_WINDOW_ROWS], columns = (size_t)shape[DST_WINDOW_COLUMNS];
    const size_t height = (size_t)shape[DST_OUT_ROWS], width = (size_t)shape[DST_OUT_COLUMNS];
    for (size_t r = 0; r < height; r++) {
        const float *row = dst_constants + at->pixel + dst_constant_rows[at->row + r] * columns;
        for (size_t c = 0; c < width; c++) {
            *out++ = row[dst_constant_columns[at->column + c]];
        }
    }
    at->row += height;
    at->column += width;
    at->pixel += rows * columns;
}

#ifdef DST_OBSERVE
float dst_activity[DST_OPERATIONS];

static void dst_observe(size_t step, const float *plane, const dst_shape *shape)
{
    const int32_t pixels = shape[DST_OUT_ROWS] * shape[DST_OUT_COLUMNS];
    float sum = 0.0f;
    for (int32_t i = 0; i < pixels; i++) {
        sum += plane[i] < 0.0f ? -plane[i] : plane[i];
    }
    if (shape[DST_KIND] != DST_IMAGE && shape[DST_KIND] != DST_CONSTANT) {
        dst_activity[dst_operation[step]] = sum / (float)pixels;
    }
}
#endif

static void dst_run(const dst_image *image, float *logits)
{
    dst_cursor at = {0, 0, 0, 0, 0, 0, 0, 0};
    for (; at.step < DST_STEPS; at.step++) {
        const dst_shape *shape = dst_shapes[dst_shape_of[at.step]];
        float *out = dst_arena + dst_place[at.step];
        const float *in;
        switch (shape[DST_KIND]) {
        case DST_LINEAR:
            dst_linear(out, shape, &at);
            break;
        case DST_IMAGE:
            dst_read_image(out, image, dst_planes[at.term++]);
            break;
        case DST_CONSTANT:
            dst_constant(out, shape, &at);
            break;
        default:
            in = dst_arena + dst_place[dst_planes[at.term++]];
            if (shape[DST_KIND] == DST_SAMPLE) {
                dst_sample(out, in, shape);
            } else if (shape[DST_KIND] == DST_MAXIMUM) {
                dst_maximum(out, in, shape);
            } else {
                dst_mean(out, in, shape, dst_tap_clip[dst_taps[at.tap++]]);
            }
        }
#ifdef DST_OBSERVE
        dst_observe(at.step, out, shape);
#endif
    }
    for (size_t i = 0; i < DST_CLASSES; i++) {
        logits[i] = dst_arena[dst_place[dst_logits[i]]];
    }
}

void dst_infer(const float *image, float *logits)
{
    const dst_image source = {image, NULL};
    dst_run(&source, logits);
}

void dst_infer_bytes(const uint8_t *image, float *logits)
{
    const dst_image source = {NULL, image};
    dst_run(&source, logits);
}
