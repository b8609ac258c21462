// A stream of HLS: a queue without bounds.
#pragma once
#include <queue>

namespace hls {
template <typename T> struct stream {
  std::queue<T> beats;
  void write(const T &beat) { beats.push(beat); }
  T read() { T beat = beats.front(); beats.pop(); return beat; }
};
}  // namespace hls
