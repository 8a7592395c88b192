"""Keep in a register what only the loop that computes it reads.

``P[j,i] := E[j,i] / S[i]; dZ[j,i] := (P[j,i] - Y[j,i]) * w[i]``, and nothing else reads ``P``:
then each entry of ``P`` is gone when the next one is computed, and it needs no memory.
"""

from dataclasses import replace

from codegen.kernel import Elementwise, KernelProgram, loads, reads


def keep_in_registers(program: KernelProgram) -> KernelProgram:
    """Return `program` with the role ``"register"`` for work that no other node reads."""
    stored = {
        store.buffer
        for node in program.nodes
        if isinstance(node, Elementwise)
        for number, store in enumerate(node.stores)
        if any(store.buffer == x.buffer for s in node.stores[number + 1 :] for x in loads(s.value))
    }
    read = {name for node in program.nodes for name in reads(node)}  # by other nodes than its own
    alone = stored - read - set(program.outputs)
    buffers = tuple(
        replace(buffer, role="register")
        if buffer.name in alone and buffer.role == "work" and buffer.shape
        else buffer
        for buffer in program.buffers
    )
    return replace(program, buffers=buffers)
