#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "lib/base/error.h"

namespace espalier::testing {

/// Runs `action`, which must throw Error(kind), and returns the message, for a matcher:
///     EXPECT_THAT(error_of(ErrorKind::usage, [&] { parse("x"); }), HasSubstr("'x'"));
inline std::string error_of(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), static_cast<int>(kind)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error, expected one of kind " << static_cast<int>(kind);
  return "";
}

}  // namespace espalier::testing
