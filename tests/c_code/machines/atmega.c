/* Prints through the serial port of an ATmega1284P, and ends the simulation after main. */
#include <avr/interrupt.h>
#include <avr/io.h>

void print(const char *text);

void print(const char *text)
{
    UCSR0B = 1 << TXEN0;
    for (; *text != 0; ++text) {
        while ((UCSR0A & (1 << UDRE0)) == 0) {
        }
        UDR0 = (uint8_t)*text;
    }
}

/* A sleep without interrupts ends the simulation. */
__attribute__((naked, used, section(".fini1"))) static void stop(void)
{
    __asm__ volatile("cli\n\tout %0, %1\n\tsleep" : : "I"(_SFR_IO_ADDR(SMCR)), "r"((uint8_t)1));
}
