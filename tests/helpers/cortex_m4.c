/* Starts a program on QEMU's mps2-an386 board: a vector table, and a reset that turns the FPU on. */
#include <stdint.h>

extern void _start(void);

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: full access to coprocessors 10, 11 */
    _start();
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    0x20400000u, (uintptr_t)reset};
