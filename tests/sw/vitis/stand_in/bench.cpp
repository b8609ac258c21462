// Runs the movers: `bench send COUNT PACKET` and `bench receive COUNT`; memory on standard input, what comes out on output.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "movers.cpp"

template <typename T> static std::vector<T> input(unsigned count) {
  std::vector<T> memory(count);
  for (T &word : memory)
    if (std::fread(word.bytes.data(), word.bytes.size(), 1, stdin) != 1) std::exit(1);
  return memory;
}

int main(int, char **arguments) {
  unsigned count = std::atoi(arguments[2]);
  if (!std::strcmp(arguments[1], "send")) {
    std::vector<ap_uint<512>> memory = input<ap_uint<512>>(count);
    hls::stream<sent_beat> beats;
    microduet_send_items(memory.data(), beats, count, std::atoi(arguments[3]));
    while (!beats.beats.empty()) {
      sent_beat beat = beats.read();
      std::fwrite(beat.data.bytes.data(), 64, 1, stdout);
      std::fputc(static_cast<bool>(beat.last), stdout);
    }
    return 0;
  }
  hls::stream<result_beat> beats;
  for (const ap_uint<128> &word : input<ap_uint<128>>(count)) beats.write({word, -1, -1, 1});
  std::vector<ap_uint<128>> memory(count);
  microduet_receive(beats, memory.data(), count);
  for (const ap_uint<128> &word : memory) std::fwrite(word.bytes.data(), 16, 1, stdout);
  return beats.beats.empty() ? 0 : 1;
}
