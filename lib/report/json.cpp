#include "lib/report/json.h"

#include <cstdio>

#include "lib/base/error.h"
#include "lib/base/file.h"

namespace espalier {

std::string json_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

void write_json(const std::string& path, const Json& json) {
  const std::string text = json_text(json);
  if (path != "-") {
    write_file(path, text);
    return;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(ErrorKind::io, "cannot write to stdout");
  }
}

}  // namespace espalier
