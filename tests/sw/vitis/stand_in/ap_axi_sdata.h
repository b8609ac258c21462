// A beat of an AXI4-Stream as HLS has it.
#pragma once
#include "ap_int.h"

template <int BITS, int USER, int ID, int DEST> struct ap_axiu {
  ap_uint<BITS> data;
  ap_uint<BITS / 8> keep, strb;
  ap_uint<1> last;
};
