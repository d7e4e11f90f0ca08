"""ONNX Runtime: a graph of Gemm and activations, with bound inputs and outputs."""

import numpy as np
import onnx
import onnxruntime

from bench.common import threads


class OnnxRuntimePeer:
    """A session that predicts; it cannot train."""

    name = "onnxruntime"

    def __init__(self, problem):
        helper, numpy_helper = onnx.helper, onnx.numpy_helper
        activation = {"relu": "Relu", "tanh": "Tanh"}[problem.activation]
        nodes, constants, name = [], [], "x0"
        for i, (weight, bias) in enumerate(problem.weights, start=1):
            constants += [
                numpy_helper.from_array(weight, f"w{i}"),
                numpy_helper.from_array(bias, f"b{i}"),
            ]
            nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"], transB=1))
            nodes.append(helper.make_node(activation, [f"z{i}"], [f"x{i}"]))
            name = f"x{i}"
        rows, (n_in, n_out) = len(problem.X), (problem.X.shape[1], len(problem.weights[-1][1]))
        last = nodes[-2].output[0]  # the last layer has no activation
        graph = helper.make_graph(
            nodes[:-1],
            "mlp",
            [helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, [rows, n_in])],
            [helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, [rows, n_out])],
            constants,
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.outputs = np.empty((rows, n_out), np.float32)
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input("x0", problem.X)
        self.binding.bind_output(
            last, "cpu", 0, np.float32, self.outputs.shape, self.outputs.ctypes.data
        )

    def predict(self):
        self.session.run_with_iobinding(self.binding)
        return self.outputs


PEERS = [OnnxRuntimePeer]
