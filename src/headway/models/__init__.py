"""Models that answer a whole batch at once: encoders, classifiers, rerankers, speech, functions.

    source.py      what `NAME=PATH` names: a folder, a file, a Python object, a server
    signature.py   what a model takes and gives
    tokens.py      texts to token ids
    items.py       from JSON to items; length.py: how long an item is
    served.py      ServedModel: loaded on demand, batched, run, unloaded when idle
    instances.py   its instances, each a worker process; one that dies is replaced
    worker.py      one worker process, from outside; child.py is what runs in it
    remote.py      a model on another server; open_inference_server.py and predict_server.py say
                   how it is asked
    open_inference.py   the bytes of the Open Inference Protocol
    runners/       what a worker process holds: an ONNX graph, a PyTorch module, a Python object
    minilm.py      the model that comes with Headway

A batch is formed in the gateway's event loop (`headway.batching`), and crosses to the worker in
one message; only workers import onnxruntime, torch or what an operator wrote.
"""
