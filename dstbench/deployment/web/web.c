/* The functions that the page calls. Every plane has memory of its own in the arena, so that the page
   can read all of them after a call. */

#include "network.c"

#define DST_EXPORT(name) __attribute__((export_name(#name)))

static uint8_t dst_image_bytes[DST_HEIGHT * DST_WIDTH * DST_CHANNELS];
static float dst_image_logits[DST_CLASSES];

DST_EXPORT(image_address) uint8_t *image_address(void) { return dst_image_bytes; }

DST_EXPORT(logits_address) float *logits_address(void) { return dst_image_logits; }

DST_EXPORT(planes_address) const float *planes_address(void) { return dst_arena; }

DST_EXPORT(infer) void infer(void) { dst_infer_bytes(dst_image_bytes, dst_image_logits); }
