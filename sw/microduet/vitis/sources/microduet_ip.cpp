// Python's access to the registers of a kernel that XRT does not manage: the pyxrt of XRT's own
// repository binds xrt::device and xrt::uuid, but not xrt::ip. Build it where XRT is installed, with the Python that
// imports pyxrt:
//   c++ -O2 -shared -fPIC -std=c++17 $(python3 -m pybind11 --includes) -I $XILINX_XRT/include microduet_ip.cpp \
//     -L $XILINX_XRT/lib -lxrt_coreutil -o microduet_ip$(python3-config --extension-suffix)
#include <cstdint>
#include <string>

#include <pybind11/pybind11.h>

#include "experimental/xrt_ip.h"
#include "xrt/xrt_device.h"
#include "xrt/xrt_uuid.h"

namespace py = pybind11;

PYBIND11_MODULE(microduet_ip, module) {
  py::module_::import("pyxrt");  // registers the types of the constructor's arguments
  py::class_<xrt::ip>(module, "ip")
      .def(py::init<const xrt::device &, const xrt::uuid &, const std::string &>())
      .def("read_register", [](const xrt::ip &ip, std::uint32_t offset) { return ip.read_register(offset); })
      .def("write_register",
           [](xrt::ip &ip, std::uint32_t offset, std::uint32_t data) { ip.write_register(offset, data); });
}
