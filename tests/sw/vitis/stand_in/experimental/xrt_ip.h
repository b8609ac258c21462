#pragma once
#include <cstdint>
#include <string>
#include "xrt/xrt_device.h"
#include "xrt/xrt_uuid.h"
namespace xrt {
struct ip {
  ip(const device &, const uuid &, const std::string &);
  void write_register(std::uint32_t offset, std::uint32_t data);
  std::uint32_t read_register(std::uint32_t offset) const;
};
}  // namespace xrt
