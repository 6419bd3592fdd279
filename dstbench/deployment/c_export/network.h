/* TITLE */

#ifndef DST_NETWORK_H
#define DST_NETWORK_H

#include <stdint.h>

/* SIZES */

#ifdef __cplusplus
extern "C" {
#endif

/* Names of the classes, UTF-8, in the order of the logits. */
extern const char *const dst_classes[DST_CLASSES];

/* Writes the DST_CLASSES logits of an image; the class is that of the largest. All calls share one
   static memory: call from one thread at a time.
   image: DST_CHANNELS x DST_HEIGHT x DST_WIDTH, normalised as in training. */
void dst_infer(const float *image, float *logits);

/* The same of bytes, DST_HEIGHT x DST_WIDTH x DST_CHANNELS, which it normalises as in training. */
void dst_infer_bytes(const uint8_t *image, float *logits);

#ifdef DST_OBSERVE
/* Mean absolute value of the result of each operation in the last call, in the order of the
   compiled program, which is not the order in which they are computed here. */
extern float dst_activity[DST_OPERATIONS];
#endif

#ifdef __cplusplus
}
#endif

#endif
