#pragma once

// Unit rules of operator families: `units::x` assigns ids, `cuts::x` is the same index semantics in the surgeon. An op's
// table names the pair that fits it.
namespace espalier {

class UnitContext;
class CutContext;

namespace units {
void same(UnitContext& c);            ///< one input's axes pass unchanged: unary maths, Cast, Identity, Dropout
void elementwise(UnitContext& c);     ///< broadcast operands: Add, Mul, Where, PRelu ...
void spatial(UnitContext& c);         ///< channels pass, space is mixed: pooling
void norm(UnitContext& c);            ///< per-channel parameters: BatchNormalization, InstanceNormalization
void softmax(UnitContext& c);         ///< Softmax, LogSoftmax: the axis is counted
void layer_norm(UnitContext& c);      ///< LayerNormalization: the axes are counted
void rms_norm(UnitContext& c);        ///< RMSNormalization: a sum of squares times the pinned 1/n
void group_norm(UnitContext& c);      ///< GroupNormalization: channels of a group are counted
void neighbours(UnitContext& c);      ///< LRN: channels count their neighbours
void conv(UnitContext& c);            ///< Conv, ConvTranspose, DeformConv, QLinearConv, ConvInteger
void gemm(UnitContext& c);
void matmul(UnitContext& c);
void quantized_matmul(UnitContext& c);  ///< QLinearMatMul, MatMulInteger
void reduce_sum(UnitContext& c);      ///< zeros add nothing: ReduceSum, ReduceMean, ReduceL1, ReduceL2, ReduceSumSquare
void reduce(UnitContext& c);          ///< ReduceMax and whatever else counts what it reduces
void transpose(UnitContext& c);
void reshape(UnitContext& c);         ///< Reshape, Flatten, Squeeze, Unsqueeze
void slice(UnitContext& c);
void split(UnitContext& c);
void gather(UnitContext& c);
void concat(UnitContext& c);
void pad(UnitContext& c);
void expand(UnitContext& c);
void recurrent(UnitContext& c);       ///< LSTM, GRU, RNN
void reverse_sequence(UnitContext& c);
void branches(UnitContext& c);        ///< If with its branches opened (lib/analysis/opened_bodies.h): their outputs join
void iterations(UnitContext& c);      ///< Loop and Scan with the body opened: what they carry or hand out stays whole
}  // namespace units

namespace cuts {
void same(CutContext& c);
void elementwise(CutContext& c);
void spatial(CutContext& c);
void norm(CutContext& c);
void counting(CutContext& c);         ///< Softmax, LogSoftmax: its axis is whole
void layer_norm(CutContext& c);
void rms_norm(CutContext& c);
void group_norm(CutContext& c);
void conv(CutContext& c);
void gemm(CutContext& c);
void matmul(CutContext& c);
void quantized_matmul(CutContext& c);
void reduce(CutContext& c);
void transpose(CutContext& c);
void reshape(CutContext& c);
void slice(CutContext& c);
void split(CutContext& c);
void gather(CutContext& c);
void concat(CutContext& c);
void pad(CutContext& c);
void expand(CutContext& c);
void recurrent(CutContext& c);
void branches(CutContext& c);
void iterations(CutContext& c);
}  // namespace cuts

}  // namespace espalier
