#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/graph/graph.h"

namespace espalier::testing {

/// The shared models of a folder ("zoo", "zoo/light"), sorted by name; empty where they are absent.
std::vector<std::filesystem::path> zoo_models(const std::string& folder);

/// Whether every operator of the graph is known, bodies aside.
bool all_ops_known(const Graph& graph);

/// Sizes for the graph's inputs: declared ones, `batch` for a first axis that is not known, 64 for others of images and 32
/// elsewhere.
std::map<std::string, Dims> concrete_inputs(const Graph& graph, int64_t batch);

/// Random feeds of those sizes: normal floats, small non-negative integers.
std::map<std::string, Tensor> random_feeds(const Graph& graph, const std::map<std::string, Dims>& sizes, uint64_t seed);

/// The graph with other weights of Conv, Gemm and BatchNormalization, by He's initialisation. The models of "zoo/light" have
/// constant ones: all their units are alike, and a wrong gather would not show.
Graph with_random_weights(Graph graph, uint64_t seed);

}  // namespace espalier::testing
