/* Counts the instructions of one image on QEMU's mps2-an386 board, a Cortex-M4: with -icount shift=0
   an instruction takes 1 ns, and its SysTick counts 25 MHz. See instructions.py. */
#include <stdint.h>
#include <stdio.h>

#include "network.h"

#define SYSTICK ((volatile uint32_t *)0xE000E010) /* control, reload, value: counts down, 24 bits */
#define NS_PER_TICK 40

extern void _start(void);

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the FPU is on */
    _start();
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    0x20400000u, (uintptr_t)reset};

static uint8_t image[DST_HEIGHT * DST_WIDTH * DST_CHANNELS];
static float logits[DST_CLASSES];

int main(void)
{
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* on, the processor's clock, no interrupt */
    const uint32_t before = SYSTICK[2];
    dst_infer_bytes(image, logits);
    const uint32_t ticks = (before - SYSTICK[2]) & 0xFFFFFF;
    printf("%lu\n", (unsigned long)ticks * NS_PER_TICK);
    return 0;
}
