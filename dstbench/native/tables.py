"""Columns of the tables through which the kernels know a network; a row is a channel, a filter, …

A *channel* is one plane of a node: of the image, or of what an activation returns. A *filter* is
one output channel of a convolution with its batch norm; a channel is the activation of the sum of
its filters and, perhaps, of another channel that it is *linked* to (a residual connection). A *tap*
is one live weight, where a convolution uses it. Positions in memory count numbers of an arena. The
tables are int64, unless a comment says otherwise.

Kinds of channels:
  IMAGE   a channel of the images, stored.
  STORED  its values are stored.
  SCALED  a stored filter, scaled, shifted and clipped by whoever reads it.
  VIEW    not stored: one tap (or a link) on another channel, scaled, shifted and clipped by whoever
          reads it, perhaps seen with a stride or moved by some pixels.
  CONSTANT  the same for every image; one number a pixel.

A plane has one strip of all images for each *cell*: a pixel, or several that are alike (axes.py). A
gradient is the sum of those of a cell's pixels.
"""

from collections import namedtuple

IMAGE, STORED, SCALED, VIEW, CONSTANT = range(5)
EMPTY, FIXED, LIVE = range(3)  # kinds of filters: no taps; constant channels only; live channels

BIG = 3e38  # stands for infinity as a bound; twice as much is infinite in float32

# channels
(
    C_HEIGHT,
    C_WIDTH,
    C_ROW_AXIS,  # its axes, and how many cells they have; planes have one strip a cell
    C_COLUMN_AXIS,
    C_ROWS,
    C_COLUMNS,
    C_KIND,
    C_LINK,  # the channel it is linked to, or -1
    C_NEXT,  # the channel linked to this one whose gradient is read, or -1
    C_FIRST,  # its filters are first … end − 1
    C_END,
    C_BASE,  # where the plane is stored that its values are seen in
    C_BASE_HEIGHT,
    C_BASE_WIDTH,
    C_BASE_ROW_AXIS,
    C_BASE_COLUMN_AXIS,
    C_BASE_COLUMNS,
    C_VIEW_ROW,  # its row y is row y · VIEW_STEP_ROW + VIEW_ROW of that plane
    C_VIEW_COLUMN,
    C_VIEW_STEP_ROW,
    C_VIEW_STEP_COLUMN,
    C_FAR,  # whether it may look past the edge of that plane
    C_RELU,
    C_GRADIENT,  # where its gradient is stored
    C_INCOMING,  # where the gradient is that comes in through its link or from the loss, or -1
    C_SUMMED,  # where its gradient's sums over images are stored, or -1
    C_LEVEL,  # where its part that is the same for all images is stored
    C_READ_FIRST,  # its readers: one-tap filters up to READ_STORED, then stored ones
    C_READ_STORED,
    C_READ_END,
    C_PASSED_FIRST,  # linked channels without readers, whose gradients only pass through them
    C_PASSED_END,
    C_ZONES,  # its zones in the forward pass, if it is a stored sum
    C_ZONES_END,
    C_BACK,  # its zones in the backward pass
    C_BACK_END,
    C_POOLED,  # the channel that it is the maximum of, or -1
    C_POOLED_BY,  # the channel that is its maximum and whose gradient is read, or -1
    C_WINDOW,  # the windows of a maximum
    C_DYNAMIC,  # the channel that it is the dynamic activation of, or -1
    C_DYNAMIC_BY,  # the channel that is its dynamic activation, or -1
    C_ROW,  # of both: the row of means
    C_COEFFICIENTS,  # of both: the row of a₁, and how many rows further a₂, b₁, b₂ are
    C_COEFFICIENT_STEP,
    C_SEEN,  # the zones in which its dynamic activation reads it
    C_SEEN_END,
    C_THROUGH,  # whether its gradient is that of its dynamic activation, and its task adds nothing
    C_ADDEND,  # the row of mean gradients that are added to its gradient, or -1
    C_SUMS,  # whether the means of a dynamic activation are kept
    CHANNEL,
) = range(50)

# filters
(
    F_CHANNEL,
    F_KIND,
    F_ONE,  # whether it has one tap, on a live channel; then it is not stored
    F_NORM,  # whether it has a batch norm
    F_STEP_ROW,
    F_STEP_COLUMN,
    F_TAP,  # its taps: on live channels up to TAP_FIXED, then on constant ones
    F_TAP_FIXED,
    F_TAP_END,
    F_PLANE,  # where it is stored
    F_LEVEL,  # where its part that is the same for all images is stored
    F_GRADIENT,  # where the gradient of its convolution's result is stored
    F_SUMMED,  # where that gradient's sums over images are stored, or -1
    F_ZONES,
    F_ZONES_END,
    FILTER,
) = range(16)

# filters, float64
(
    N_WEIGHT,
    N_BIAS,
    N_RUNNING_MEAN,
    N_RUNNING_VAR,
    N_EPS,
    N_WEIGHT_GRADIENT,
    N_BIAS_GRADIENT,
    N_MEAN,  # of the convolution's result
    N_VAR,
    N_CENTRE,  # mean of what is stored; of one-tap filters, mean of the channel that is read
    N_INVERSE,  # 1 / √(var + eps)
    N_IN_GRADIENT,  # a one-tap filter adds IN_GRADIENT · g + IN_VALUE · x + IN_LEVEL to the
    N_IN_VALUE,  # gradient of the channel x that it reads; g: gradient of its own channel
    N_IN_LEVEL,
    NUMBERS,
) = range(15)

# channels, float64: value = min(max(SCALE · v + SHIFT, LOW), HIGH); EDGE past the edge of v.
# A dynamic activation is max(a₁x + b₁, a₂x + b₂) + FRACTION · max(x, 0).
V_SCALE, V_SHIFT, V_LOW, V_HIGH, V_EDGE, V_FRACTION, VALUES = range(7)

T_CHANNEL, T_ROW, T_COLUMN, TAP = range(4)
W_ROWS, W_COLUMNS, W_STEP_ROW, W_STEP_COLUMN, W_PADDING_ROW, W_PADDING_COLUMN, WINDOW = range(7)
R_FILTER, R_ROW, R_COLUMN, R_TAP, READER = range(5)

# zones; an entry is one source that is seen in one zone
(
    Z_ROWS,
    Z_COLUMNS,
    Z_COUNT,  # numbers of a strip
    Z_OUT,
    Z_OUT_ROW,
    Z_OUT_COLUMN,
    Z_OWN,  # backward: the channel's own values. Forward: the level (what is equal for all images)
    Z_OWN_ROW,
    Z_OWN_COLUMN,
    Z_ENTRY,  # entries of three sorts: ENTRY … SECOND − 1, SECOND … THIRD − 1, THIRD … END − 1
    Z_SECOND,
    Z_THIRD,
    Z_END,
    Z_BORDER,  # whether the channel's own values are past the edge there
    Z_REPEATS,  # pixels of each of its cells
    Z_PIXELS,
    ZONE,
) = range(17)
# E_REPEATS: pixels of each cell that is seen.
E_PARAMETER, E_OFFSET, E_ROW, E_COLUMN, E_REPEATS, ENTRY = range(6)

# axes (see axes.py): the cell of each pixel; of each cell, its first pixel, and how many it has
X_CELL, X_FIRST, X_REPEATS, AXIS = range(4)

# batch: (images, numbers of a cell). evaluate: (whether statistics are the running ones,).
# values, gradients, levels: the arenas; a level is a number that is the same for all images.
# means: (rows, numbers of a cell) of what dynamic activations read, over pixels. own_means: of
# themselves. mean_gradients: what the means add to the gradient of each pixel. coefficients,
# coefficient_gradients: (4 · rows, numbers of a cell), of each node a₁ of all channels, then a₂,
# b₁, b₂. gradient_sums: (rows,) of the gradient of what is read, over pixels and images, without
# what the means add.
# order: channels, one a task. after: of each task, the last one that must be done before.
Program = namedtuple(
    "Program",
    "batch evaluate values gradients levels axes zones entries channels views filters numbers taps "
    "readers passed windows weights tap_gradients means own_means mean_gradients coefficients "
    "coefficient_gradients gradient_sums order after",
)

# What one thread works with. sources, own, passed: rows of parameters. readers: weights of readers.
# products, sums: rows of LANES numbers. totals, centres, seen: of the live filters of a channel.
# row, maximum, place: of the images of a pixel. image_sums: four such rows; image_totals: the same
# in float64.
Scratch = namedtuple(
    "Scratch",
    "sources own passed readers products sums totals centres seen row maximum place image_sums "
    "image_totals",
)
