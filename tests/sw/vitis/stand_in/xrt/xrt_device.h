#pragma once
namespace xrt { struct device {}; }
