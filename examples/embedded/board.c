/* A network that learns and decides on a microcontroller: no heap, no operating system.
 *
 * Made to be read beside embedded_c_user.py, which writes net.c, net.h and board.h. What net.c asks
 * calloc for comes out of `room`, one piece at a time; if that is too small, its functions say so.
 */
#include <stdint.h>
#include <string.h>

#include "board.h" /* start weights, samples: constants, so they stay in flash */
#include "net.h"

static uint64_t room[ROOM / sizeof(uint64_t)];
static size_t most; /* bytes that were ever asked for */

void *fixed_calloc(size_t count, size_t size)
{
    const size_t bytes = count * size;
    if (bytes > most)
        most = bytes;
    return bytes <= sizeof room ? memset(room, 0, bytes) : NULL;
}

void fixed_free(void *pointer)
{
    (void)pointer;
}

static float params[NET_PARAMETERS]; /* what is learnt: in RAM */
volatile int status, right;          /* for a debugger, or whatever the board can show */

static int learn(void)
{
    memcpy(params, start, sizeof params);
    return net_train(params, x, y, SAMPLES, EPOCHS, BATCH, ETA, SEED, NULL, NULL);
}

/* Return the class of one sample, as it would come from a sensor. */
static int decide(const float *sample)
{
    float p[NET_OUTPUTS];
    net_forward(params, sample, 1, p);
    return p[1] > p[0];
}

#ifndef ON_BOARD
#include <stdio.h>
#endif

int main(void)
{
    status = learn();
    for (int i = 0; status == NET_DONE && i < TESTS; i++)
        right += decide(test_x + NET_INPUTS * i) == test_class[i];
#ifndef ON_BOARD
    printf("right %d of %d, memory %zu of %zu bytes\n", right, TESTS, most, sizeof room);
#endif
    return status;
}
