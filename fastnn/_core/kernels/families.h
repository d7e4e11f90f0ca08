/* All families of kernels, for one dtype. */
#define vector OF_DTYPE(vector)
#define unaligned OF_DTYPE(unaligned)
#define bits OF_DTYPE(bits)
#define lane_mask OF_DTYPE(mask)
#define first_lanes OF_DTYPE(first)
#define load_some OF_DTYPE(load_some)
#define store_some OF_DTYPE(store_some)

#include "vector.h"
#include "tile.h"
#include "dot.h"
#include "active.h"
#include "row.h"
#include "shallow.h"
#include "outer.h"
#include "sparse.h"

#undef vector
#undef unaligned
#undef bits
#undef lane_mask
#undef first_lanes
#undef load_some
#undef store_some
