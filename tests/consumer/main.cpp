// consumer FILE: makes a network, simplifies it, writes it to FILE and reads it back.
#include <espalier/espalier.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  espalier::Network net = espalier::Network::parse(R"(
    graph tiny (x: float[batch,4]) -> (y: float[batch,2]) opset 17 {
      w: float[4,2] = fill(1)
      dead = Exp(x)
      y = MatMul(x, w)
    })");
  const auto before = net.macs();
  for (const espalier::Change& change : net.apply("remove-dead-code")) {
    std::printf("%s: %zu -> %zu nodes, %s\n", change.pass.c_str(), change.nodes_before, change.nodes_after,
                change.verification.c_str());
  }
  net.save(argv[1]);
  const espalier::Network again = espalier::Network::load(argv[1]);
  const bool same = again.text() == net.text() && again.macs() == before && before == 8 && again.parameters() == 8;
  std::printf("espalier %s: %s\n", std::string(espalier::version()).c_str(), same ? "the same network" : "another network");
  return same ? 0 : 1;
} catch (const espalier::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
