#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "-h";
  if (first == "--version") {
    std::printf("espalier %s\n", ESPALIER_VERSION);
    return 0;
  }
  if (first == "-h" || first == "--help") {
    std::printf("espalier: prunes and trains ONNX models\n\n  espalier --version\n");
    return 0;
  }
  std::fprintf(stderr, "espalier: unknown command '%s' (see espalier -h)\n", argv[1]);
  return 2;
}
