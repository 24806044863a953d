"""Makes tests/golden/differentiable.txt: what the schemas of ONNX's default domain call differentiable.

    python3 tests/golden/differentiable.py > tests/golden/differentiable.txt

One line an operator, in its newest form: inputs and outputs by position, then the attributes. ONNX 1.22 made the file.
"""
from onnx import defs

newest = {}
for schema in defs.get_all_schemas_with_history():
    if schema.domain == "" and schema.since_version > getattr(newest.get(schema.name), "since_version", 0):
        newest[schema.name] = schema


def tagged(parameters):
    wanted = defs.OpSchema.DifferentiationCategory.Differentiable
    return [str(i) for i, p in enumerate(parameters) if p.differentiation_category == wanted]


for name, schema in sorted(newest.items()):
    if tagged(schema.inputs):
        print(name, ",".join(tagged(schema.inputs)), ",".join(tagged(schema.outputs)) or "-", *sorted(schema.attributes))
