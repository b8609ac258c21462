#pragma once
namespace xrt { struct uuid {}; }
