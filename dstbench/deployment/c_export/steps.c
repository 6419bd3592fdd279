static void dst_sample(dst_pixel *out, const dst_pixel *in, const dst_shape *shape, size_t step)
{
    for (int32_t r = 0; r < shape[DST_OUT_ROWS]; r++) {
        const int32_t row = shape[DST_FIRST_ROW] + r * shape[DST_STRIDE_ROWS];
        const int inside = row >= 0 && row < shape[DST_IN_ROWS];
        for (int32_t c = 0; c < shape[DST_OUT_COLUMNS]; c++) {
            const int32_t column = shape[DST_FIRST_COLUMN] + c * shape[DST_STRIDE_COLUMNS];
            const int read = inside && column >= 0 && column < shape[DST_IN_COLUMNS];
            *out++ = (dst_pixel)(read ? in[row * shape[DST_IN_COLUMNS] + column] : DST_ZERO(step));
        }
    }
    (void)step;
}

static void dst_maximum(dst_pixel *out, const dst_pixel *in, const dst_shape *shape)
{
    for (int32_t r = 0; r < shape[DST_OUT_ROWS]; r++) {
        for (int32_t c = 0; c < shape[DST_OUT_COLUMNS]; c++) {
            const int32_t top = shape[DST_FIRST_ROW] + r * shape[DST_STRIDE_ROWS];
            const int32_t left = shape[DST_FIRST_COLUMN] + c * shape[DST_STRIDE_COLUMNS];
            dst_pixel best = DST_LOWEST;
            for (int32_t i = top; i < top + shape[DST_WINDOW_ROWS]; i++) {
                for (int32_t j = left; j < left + shape[DST_WINDOW_COLUMNS]; j++) {
                    if (i >= 0 && i < shape[DST_IN_ROWS] && j >= 0 && j < shape[DST_IN_COLUMNS]) {
                        const dst_pixel x = in[i * shape[DST_IN_COLUMNS] + j];
                        best = dst_replaces(x, best) ? x : best;
                    }
                }
            }
            *out++ = best;
        }
    }
}

/* A constant plane is stored as its distinct rows and columns. */
static void dst_constant(dst_pixel *out, const dst_shape *shape, dst_cursor *at)
{
    const size_t rows = (size_t)shape[DST_WINDOW_ROWS], columns = (size_t)shape[DST_WINDOW_COLUMNS];
    const size_t height = (size_t)shape[DST_OUT_ROWS], width = (size_t)shape[DST_OUT_COLUMNS];
    for (size_t r = 0; r < height; r++) {
        const size_t row = at->pixel + dst_constant_rows[at->row + r] * columns;
        for (size_t c = 0; c < width; c++) {
            *out++ = (dst_pixel)dst_constants[row + dst_constant_columns[at->column + c]];
        }
    }
    at->row += height;
    at->column += width;
    at->pixel += rows * columns;
}

#ifdef DST_OBSERVE
float dst_activity[DST_OPERATIONS];

static void dst_observe(const dst_pixel *plane, const dst_shape *shape, size_t step)
{
    const int32_t pixels = shape[DST_OUT_ROWS] * shape[DST_OUT_COLUMNS];
    float sum = 0.0f;
    for (int32_t i = 0; i < pixels; i++) {
        const float x = dst_real(plane[i], step);
        sum += x < 0.0f ? -x : x;
    }
    if (shape[DST_KIND] != DST_IMAGE && shape[DST_KIND] != DST_CONSTANT) {
        dst_activity[dst_operation[step]] = sum / (float)pixels;
    }
}
#endif

static void dst_run(const dst_image *image, float *logits)
{
    dst_cursor at; /* an initialiser would call memset, which not every target has */
    at.term = at.tap = at.coefficient = at.sum = at.rescaled = at.row = at.column = at.pixel = 0;
    for (at.step = 0; at.step < DST_STEPS; at.step++) {
        const dst_shape *shape = dst_shapes[dst_shape_of[at.step]];
        dst_pixel *out = dst_arena + dst_place[at.step];
        const dst_pixel *in = dst_arena;
        switch (shape[DST_KIND]) {
        case DST_LINEAR:
            dst_linear(out, shape, &at);
            break;
        case DST_IMAGE:
            dst_read_image(out, image, dst_planes[at.term++], at.step);
            break;
        case DST_CONSTANT:
            dst_constant(out, shape, &at);
            break;
        default:
            in += dst_place[dst_planes[at.term]];
            if (shape[DST_KIND] == DST_SAMPLE) {
                dst_sample(out, in, shape, at.step);
            } else if (shape[DST_KIND] == DST_MAXIMUM) {
                dst_maximum(out, in, shape);
            } else {
                dst_mean(out, in, shape, &at);
            }
            at.term++;
        }
        for (size_t i = 0; i < DST_CLASSES; i++) {
            if (dst_logits[i] == at.step) {
                logits[i] = dst_logit(i, out, shape, at.step);
            }
        }
#ifdef DST_OBSERVE
        dst_observe(out, shape, at.step);
#endif
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
