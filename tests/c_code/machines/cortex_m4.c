/* Starts main on the Cortex-M4 of QEMU's board mps2-an386. It prints through semihosting. */
#include <stdint.h>

int main(void);
void print(const char *text);
void reset(void);
extern uint32_t stack_top;

static void ask_host(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text)
{
    ask_host(4, text);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* turns the floating-point unit on */
    __asm__ volatile("dsb\n\tisb");
    main();
    ask_host(0x18, (const void *)0x20026); /* the end without an error */
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    &stack_top, (void *)reset};
