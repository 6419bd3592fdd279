enum { DST_LINEAR, DST_SAMPLE, DST_MAXIMUM, DST_MEAN, DST_IMAGE, DST_CONSTANT }; /* kinds of steps */
enum { /* columns of dst_shapes */
    DST_KIND, DST_RELU, DST_OUT_ROWS, DST_OUT_COLUMNS, DST_IN_ROWS, DST_IN_COLUMNS,
    DST_FIRST_ROW, DST_FIRST_COLUMN, /* origin of a sample; minus the padding of a maximum */
    DST_STRIDE_ROWS, DST_STRIDE_COLUMNS, DST_WINDOW_ROWS, DST_WINDOW_COLUMNS
};

/* Where the next numbers of each table are: every step takes those that it needs. */
typedef struct {
    size_t step, term, tap, coefficient, sum, rescaled, row, column, pixel;
} dst_cursor;

/* What the image is read from: one of the two. */
typedef struct {
    const float *normalised;
    const uint8_t *bytes;
} dst_image;

