// Sign extension by two shifts. Verilator's own helpers become a mask, a negation and an or, which takes twice as long.
#pragma once

#include "verilated.h"

static inline IData microduet_extend_word(int bits, IData value) {
    return static_cast<IData>(static_cast<int32_t>(value << (32 - bits)) >> (32 - bits));
}
static inline QData microduet_extend_double(int bits, QData value) {
    return static_cast<QData>(static_cast<int64_t>(value << (64 - bits)) >> (64 - bits));
}

#define VL_EXTENDS_II(obits, lbits, value) microduet_extend_word(lbits, value)
#define VL_EXTENDS_QI(obits, lbits, value) microduet_extend_double(lbits, value)
#define VL_EXTENDS_QQ(obits, lbits, value) microduet_extend_double(lbits, value)
