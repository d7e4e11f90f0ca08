/* Includes SHAPE_FILE for each HEIGHT from 1 to HEIGHTS, and forgets WIDTH. */
#define HEIGHT 1
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 2
#include SHAPE_FILE
#undef HEIGHT
#if HEIGHTS >= 6
#define HEIGHT 3
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 4
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 5
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 6
#include SHAPE_FILE
#undef HEIGHT
#endif
#if HEIGHTS >= 12
#define HEIGHT 7
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 8
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 9
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 10
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 11
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 12
#include SHAPE_FILE
#undef HEIGHT
#endif
#if HEIGHTS >= 14
#define HEIGHT 13
#include SHAPE_FILE
#undef HEIGHT
#define HEIGHT 14
#include SHAPE_FILE
#undef HEIGHT
#endif
#undef WIDTH
