"""Writes a Llama-family checkpoint as an ONNX decoder, without torch.

The flow is one pass: a checkpoint (checkpoint.py) yields one tensor at a time as float32
blocks, decoder.py lays the nodes and hands every weight to writer.py, which appends it to
model.onnx.data at once. The graph itself only ever holds names, shapes and offsets, so memory
stays near one tensor whatever the model's size.

    errors       the one exception family, a message and a way out
    config       ModelConfig, read from config.json or GGUF metadata; unknown things are refused
    rope         inverse frequencies and cos/sin tables
    safefile     safetensors headers, bounded
    gguffile     GGUF headers, bounded, and dequantisation
    random       weights that follow from a seed, in the shape of a real model
    checkpoint   the two sources behind one small interface
    tokenizer    GGUF vocabulary to tokenizer.json
    graph        node builder
    attention    the two attention forms
    decoder      the whole network
    writer       external data and the output folder
    export       the order of the steps
"""
