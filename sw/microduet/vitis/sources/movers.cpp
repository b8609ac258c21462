// Data movers of an engine's kernel, for Vitis HLS: memory to stream, and stream to memory.
// Compile each with `v++ -c -k NAME`; the linker's file connectivity.cfg says which are needed.
#include <ap_axi_sdata.h>
#include <ap_int.h>
#include <hls_stream.h>

typedef ap_axiu<512, 0, 0, 0> sent_beat;
typedef ap_axiu<128, 0, 0, 0> result_beat;

// Sends `count` beats of 64 bytes; every `packet`-th one ends a packet.
static void send(const ap_uint<512> *memory, hls::stream<sent_beat> &beats, unsigned count, unsigned packet) {
  unsigned left = packet;
  for (unsigned k = 0; k < count; ++k) {
#pragma HLS PIPELINE II = 1
    sent_beat beat;
    beat.data = memory[k];
    beat.keep = -1;
    beat.strb = -1;
    beat.last = left == 1;
    beats.write(beat);
    left = left == 1 ? packet : left - 1;
  }
}

extern "C" {

void microduet_send_items(const ap_uint<512> *memory, hls::stream<sent_beat> &beats, unsigned count, unsigned packet) {
#pragma HLS INTERFACE m_axi port = memory offset = slave bundle = memory max_read_burst_length = 64
#pragma HLS INTERFACE axis port = beats
  send(memory, beats, count, packet);
}

void microduet_send_load(const ap_uint<512> *memory, hls::stream<sent_beat> &beats, unsigned count, unsigned packet) {
#pragma HLS INTERFACE m_axi port = memory offset = slave bundle = memory max_read_burst_length = 64
#pragma HLS INTERFACE axis port = beats
  send(memory, beats, count, packet);
}

void microduet_send_users(const ap_uint<512> *memory, hls::stream<sent_beat> &beats, unsigned count, unsigned packet) {
#pragma HLS INTERFACE m_axi port = memory offset = slave bundle = memory max_read_burst_length = 64
#pragma HLS INTERFACE axis port = beats
  send(memory, beats, count, packet);
}

// Writes the next `count` result beats, 16 bytes each, to memory.
void microduet_receive(hls::stream<result_beat> &beats, ap_uint<128> *memory, unsigned count) {
#pragma HLS INTERFACE m_axi port = memory offset = slave bundle = memory max_write_burst_length = 64
#pragma HLS INTERFACE axis port = beats
  for (unsigned k = 0; k < count; ++k) {
#pragma HLS PIPELINE II = 1
    memory[k] = beats.read().data;
  }
}
}
