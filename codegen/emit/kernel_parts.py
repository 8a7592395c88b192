"""What a kernel programme needs of a function for it: inputs, memory, arguments and BLAS."""

from codegen.kernel import Buffer, Contract, KernelProgram, Reduce, Update, reads, writes


def uses_blas(program: KernelProgram) -> bool:
    """Whether a product of the programme goes through BLAS."""
    return any(isinstance(n, Contract) and n.method in ("blas", "sparse") for n in program.nodes)


def sparse_weights(program: KernelProgram) -> Buffer | None:
    """Return the weights by which sparse inputs are multiplied, if any are."""
    for node in program.nodes:
        if isinstance(node, Contract) and node.method == "sparse":
            touched = [program.buffer(name) for name in (node.out, *reads(node)[:2])]
            return next(buffer for buffer in touched if buffer.role == "parameter")
    return None


def work_buffers(program: KernelProgram) -> tuple[Buffer, ...]:
    """Return the buffers with memory of their own that the kernel needs beside what it is given."""
    written = {name for node in program.nodes for name in writes(node)}
    return tuple(
        b
        for b in program.buffers
        if b.role == "work" and b.owns_memory and b.name in written and b.shape
    )


def kernel_inputs(program: KernelProgram) -> tuple[str, ...]:
    """Return the inputs that a kernel takes beside the parameters: those that it reads."""
    used = {load for node in program.nodes for load in reads(node)}
    return tuple(b.name for b in program.buffers if b.role == "input" and b.name in used)


def kernel_numbers(program: KernelProgram) -> list[str]:
    """Return the names of the numbers that a kernel takes beside arrays."""
    rates = [n.alpha for n in program.nodes if isinstance(n, Contract | Reduce)]
    rates += [n.rate for n in program.nodes if isinstance(n, Update)]
    return ["eta"] if any("eta" in repr(rate) for rate in rates) else []
