"""Models that answer a whole batch at once: encoders, classifiers, rerankers, speech, functions.

    source.py      where a model comes from: a folder, a file, a Python object, a server
    signature.py   what a model takes and returns
    tokens.py      texts to token ids
    items.py       JSON to items; length.py: the length of an item
    served.py      ServedModel: loads on demand, batches, runs, unloads when idle
    instances.py   the worker processes of a model; one that dies is replaced
    scaler.py      their number follows the work that waits
    worker.py      one worker process, as its parent sees it; child.py runs inside it
    remote.py      a model on another server; open_inference_server.py and predict_server.py are
                   the protocols
    open_inference.py   the bytes of the Open Inference Protocol
    runners/       what a worker process holds: an ONNX graph, a PyTorch module, a Python object
    minilm.py      the model that comes with Headway

The gateway's event loop forms a batch (`headway.batching`) and sends it to the worker in one
message; only workers import onnxruntime, torch or an operator's code.
"""
