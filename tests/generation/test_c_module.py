"""The C target: against autograd, against Numba's runs, and under the sanitizers.

Compiling one network takes half a second, so that few are compiled with optimisation; the
others show the text, not the compiler.
"""

import ast
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from c_library import SANITIZED, STRICT, CNetwork, compile_c, compilers, write
from catalogue import PAIRS, network, rewritten_gradient
from oracles import Oracle, draw_case

import codegen
from codegen.emit.c_functions import function_sources, literal
from codegen.emit.c_module import is_prefix
from codegen.errors import InputError, InternalError
from codegen.generation import GeneratedSource, generate
from derive.spec import NetworkSpec, parse_spec
from runtime.torch_oracle import oracle_output

MIXED = "4-3:relu-5:sigmoid-4:softplus-5:gelu-4:silu-3:sin-4:log_softmax"
WIDE = "20-60-40-5"  # more than 2,048 parameters: loops over chunks of samples
UNITS = "3-32-16:relu-4"  # in lanes
PRECISE = 1e-10  # relative, in float64, where the bound allows


@cache
def c_source(spec: NetworkSpec | str, dtype: str = "float64") -> GeneratedSource:
    return generate(spec, target="c", dtype=dtype)


Build = Callable[..., CNetwork]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return what compiles a network, each once."""
    built: dict[object, CNetwork] = {}

    def get(
        spec: NetworkSpec | str,
        dtype: str = "float64",
        flags: tuple[str, ...] = ("-O0",),
        compiler: str = "",
    ) -> CNetwork:
        key = (str(spec), getattr(spec, "loss", ""), getattr(spec, "l2", 0), dtype, flags, compiler)
        if key not in built:
            folder = tmp_path_factory.mktemp("c")
            built[key] = CNetwork.built(c_source(spec, dtype), folder, flags, compiler=compiler)
        return built[key]

    return get


# ------------------------------------------------------------------ values and gradients

OWN = parse_spec(
    "3-5:mish-4",
    loss="log(1+sum((P-Y)**2))",
    define=("mish(z) = z*tanh(log(1+exp(z)))",),
)
NETWORKS = {
    "2-10-2": parse_spec("2-10-2"),
    "2-1:sigmoid": parse_spec("2-1", loss="binary-cross-entropy"),
    "most activations": parse_spec(MIXED, loss="mse"),
    "softmax twice": parse_spec("3-6:softmax-4"),
    "own formulas": OWN,
    "hinge": parse_spec("3-4-3", loss="hinge"),
    "wide": parse_spec(WIDE),
    "by loops, l2": parse_spec("4-3:gelu-5:elu-3:softplus", loss="huber", l2=0.1),
    "no hidden layer, l2": parse_spec("5-3", loss="mae", l2=0.3),
    "units in lanes": parse_spec(UNITS),
    "units and samples": parse_spec("2-16-16:softmax-32:gelu-2"),
}
BATCHES = (1, 7, 16, 33, 300)  # 300: several chunks, and a part of a vector
NATIVE, PORTABLE = ("-O3", "-march=native"), ("-O2", "-DNET_PORTABLE")


def assert_agrees(c: CNetwork, spec: NetworkSpec, batch: int, seed: int = 3) -> None:
    """Loss and gradients are autograd's, entry by entry within the running error bound."""
    case = draw_case(spec, batch, seed, c.dtype)
    program = rewritten_gradient(spec)
    oracle = Oracle(spec, case, program, c.dtype)
    loss, gradients = c.loss_and_gradients(case.params, case.X, case.Y)
    for name, found in {"loss": np.asarray(loss), **gradients}.items():
        value, bound = oracle.values[name], oracle.bounds[name]
        off = np.abs(found.astype(np.float64) - value)
        assert (off <= bound).all(), (name, off.max(), bound.max())
        scale = np.abs(value).max() or 1.0
        if c.dtype == "float64" and bound.max() <= PRECISE * scale:
            assert off.max() <= PRECISE * scale, name


@pytest.mark.sweep
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_autograds(build: Build, name: str) -> None:
    c = build(NETWORKS[name])
    for batch in BATCHES if name in ("2-10-2", "wide", "units in lanes") else (33,):
        assert_agrees(c, NETWORKS[name], batch)


def test_gradients_in_float32(build: Build) -> None:
    for name in ("by loops, l2", "softmax twice"):
        assert_agrees(build(NETWORKS[name], "float32"), NETWORKS[name], 7)


def test_what_has_no_samples_has_room_in_small_chunks_too(build: Build) -> None:
    """The penalty's sums of 3, 5 and 3 numbers, where a row of a chunk has one."""
    spec = NETWORKS["by loops, l2"]
    assert "(T *)(work" in c_source(spec).text
    assert_agrees(build(spec, "float64", (*PORTABLE, "-DCHUNK=1")), spec, 7)


@pytest.mark.parametrize(
    ("text", "dtype", "flags", "compiler"),
    [
        ("2-10-2", "float32", NATIVE, "gcc"),
        ("2-10-2", "float64", PORTABLE, "gcc"),
        ("2-10-2", "float64", (*PORTABLE, "-DCHUNK=16"), "gcc"),
        (WIDE, "float64", NATIVE, "gcc"),
        (WIDE, "float64", PORTABLE, "gcc"),
        (WIDE, "float64", (*NATIVE, "-DCHUNK=16"), "gcc"),  # its last chunk has three samples
        (WIDE, "float64", (*PORTABLE, "-DCHUNK=5"), "gcc"),
        (UNITS, "float32", NATIVE, "gcc"),
        (UNITS, "float64", PORTABLE, "gcc"),
        pytest.param(UNITS, "float64", NATIVE, "clang", marks=pytest.mark.slow),
        ("2-10-2", "float32", NATIVE, "clang"),
        ("2-10-2", "float64", PORTABLE, "clang"),
        pytest.param(WIDE, "float64", NATIVE, "clang", marks=pytest.mark.slow),
        pytest.param(WIDE, "float64", PORTABLE, "clang", marks=pytest.mark.slow),
    ],
)
def test_however_it_is_compiled(
    build: Build, text: str, dtype: str, flags: tuple[str, ...], compiler: str
) -> None:
    if compiler not in compilers():
        pytest.skip(f"there is no {compiler}")
    assert_agrees(build(text, dtype, flags, compiler), parse_spec(text), 19)


@pytest.mark.parametrize("flags", [(), PORTABLE, ("-DNET_MAIN",)], ids=str)
def test_no_compiler_has_a_warning(tmp_path: Path, flags: tuple[str, ...]) -> None:
    for text in ("2-10-2", UNITS, WIDE):
        path = write(c_source(text), tmp_path)
        for compiler in compilers():
            out = tmp_path / "none"
            compile_c(path, out=out, flags=("-fsyntax-only", *flags), compiler=compiler)


@pytest.mark.parametrize("text", ["2-10-2", UNITS, WIDE])
def test_chunks_of_any_size_need_no_warning_or_are_refused(tmp_path: Path, text: str) -> None:
    path = write(c_source(text), tmp_path)
    flags = ("-fsyntax-only", "-DCHUNK=32")
    for compiler in compilers():
        compile_c(path, out=tmp_path / "none", flags=flags, compiler=compiler)
        for wrong in ("0", "-16", "17", "many"):
            with pytest.raises(AssertionError, match="CHUNK must be a multiple of LANES"):
                compile_c(
                    path,
                    out=tmp_path / "none",
                    flags=("-fsyntax-only", f"-DCHUNK={wrong}"),
                    compiler=compiler,
                )


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    spec = parse_spec("2-10-2")
    source = c_source(spec)
    spoilt = source.text.replace("(1.0 - H1[j] * H1[j]) * dh1", "dh1")
    assert spoilt != source.text
    c = CNetwork.built(replace(source, text=spoilt), tmp_path, ("-O0",))
    with pytest.raises(AssertionError, match="W1"):
        assert_agrees(c, spec, 7)


@pytest.mark.slow
@pytest.mark.parametrize(("output", "loss"), PAIRS, ids=lambda value: value)
def test_every_pair_of_output_and_loss(tmp_path: Path, output: str, loss: str) -> None:
    spec = network((3, 5, 4), ("tanh",), output, loss)
    for dtype in ("float64", "float32"):
        folder = tmp_path / dtype
        folder.mkdir()
        assert_agrees(CNetwork.built(c_source(spec, dtype), folder, ("-O0",)), spec, 7)


def test_the_output_is_pytorchs(build: Build) -> None:
    for name in ("2-10-2", "most activations", "wide"):
        spec = NETWORKS[name]
        case = draw_case(spec, 300, 1)
        expected = oracle_output(spec, case.params, case.X)
        np.testing.assert_allclose(build(spec).forward(case.params, case.X), expected, 1e-10, 1e-12)


def test_no_samples(build: Build) -> None:
    for text in ("2-10-2", WIDE):
        c = build(text)
        case = draw_case(parse_spec(text), 3, 0)
        loss, gradients = c.loss_and_gradients(case.params, case.X[:0], case.Y[:0])
        assert np.isnan(loss)
        assert all((gradient == 0).all() for gradient in gradients.values())
        assert c.forward(case.params, case.X[:0]).shape == (0, c.sizes[-1])


def test_padding_is_left_out_of_every_sum(build: Build) -> None:
    """The loss is -log 0 for each sample: padding that weighed 0 would make NaN of it."""
    for text in ("2-3-1:relu", "2-16-1:relu", "20-60-40-1:relu"):
        spec = parse_spec(text)
        c = build(spec)
        params = {name: np.zeros_like(p) for name, p in draw_case(spec, 1, 0).params.items()}
        for count in (1, 7, 16, 17):
            X = np.ones((count, c.sizes[0]))
            assert c.loss_and_gradients(params, X, np.ones((count, 1)))[0] == np.inf


# ------------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def wide_in_numpy() -> ModuleType:
    module = ModuleType("wide_in_numpy")
    exec(generate(WIDE, target="numpy", dtype="float64").text, vars(module))
    return module


@pytest.mark.parametrize("batch", [30, 128, 150, 400])
def test_a_wide_run_is_numpys(build: Build, wide_in_numpy: ModuleType, batch: int) -> None:
    """A batch of 150 takes two chunks, and there is a last partial batch."""
    spec = parse_spec(WIDE)
    c = build(spec)
    case = draw_case(spec, 290, 4)
    theirs = {name: value.copy() for name, value in case.params.items()}
    history = wide_in_numpy.train(
        theirs, case.X, case.Y, epochs=2, batch=batch, eta=0.1, seed=9, evaluate=True
    )
    status, ours, losses = c.train(
        case.params, case.X, case.Y, epochs=2, batch=batch, eta=0.1, seed=9, with_losses=True
    )
    assert status == 0
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(losses, history[:, 0], rtol=1e-10)


def test_what_cannot_be_trained_is_told_and_nothing_is_changed(build: Build) -> None:
    c = build("2-10-2")
    spec = parse_spec("2-10-2")
    case = draw_case(spec, 6, 0)
    wrong_row = case.Y.copy()
    wrong_row[4] = 0.7
    beyond = np.arange(6)[None] + 1
    for status, options in {
        2: {"batch": 0},
        (2, "order"): {"order": beyond},
        3: {"Y": wrong_row},
    }.items():
        expected = status if isinstance(status, int) else status[0]
        given = {"Y": case.Y, "batch": 2, "epochs": 1, "eta": 0.1, **options}
        Y = given.pop("Y")
        found, after, _ = c.train(case.params, case.X, Y, **given)
        assert found == expected
        assert all((after[name] == case.params[name]).all() for name in after)
    assert c.train(case.params, case.X[:0], case.Y[:0], epochs=1, batch=2, eta=0.1)[0] == 2
    loss, gradients = c.loss_and_gradients(case.params, case.X, wrong_row)
    assert np.isnan(loss)
    assert all(np.isnan(gradient).all() for gradient in gradients.values())
    spec = parse_spec("2-10-2", loss="mse")  # whose derivation does not use it
    c = build(spec)
    assert c.train(case.params, case.X, wrong_row, epochs=1, batch=2, eta=0.1)[0] == 0


def test_without_memory_nothing_is_done(tmp_path: Path) -> None:
    source = c_source("2-10-2", "float32")
    text = source.text.replace("calloc(", "no_memory(").replace(
        "/* ---",
        "static void *no_memory(size_t n, size_t m) { return n && m ? NULL : NULL; }\n/* ---",
        1,
    )
    c = CNetwork.built(replace(source, text=text), tmp_path, ("-O0",))
    case = draw_case(parse_spec("2-10-2"), 5, 0, "float32")
    status, after, _ = c.train(case.params, case.X, case.Y, epochs=1, batch=2, eta=0.1)
    assert status == 1
    assert (c.flat(after) == c.flat(case.params)).all()
    loss, gradients = c.loss_and_gradients(case.params, case.X, case.Y)
    assert np.isnan([loss, *c.flat(gradients), *c.forward(case.params, case.X).ravel()]).all()


# ------------------------------------------------------------------ how it compiles

DRIVER = """
#include "net.h"
#include <stdlib.h>
typedef NUMBER T;
/* every array as long as it must be: the sanitizer sees a step beyond */
int main(void)
{
    size_t sizes[] = {1, 15, 16, 17, 130, 300};
    for (int n = 0; n < 6; n++) {
        size_t b = sizes[n];
        T *x = malloc(b * NET_INPUTS * sizeof(T)), *y = calloc(b * NET_OUTPUTS, sizeof(T));
        T *params = malloc(NET_PARAMETERS * sizeof(T)), *grads = malloc(NET_PARAMETERS * sizeof(T));
        T *p = malloc(b * NET_OUTPUTS * sizeof(T)), losses[2];
        uint32_t *order = malloc(2 * b * sizeof(uint32_t));
        for (size_t i = 0; i < b * NET_INPUTS; i++)
            x[i] = (T)(i * 37 % 101) / 50 - 1;
        for (size_t i = 0; i < b; i++)
            y[i * NET_OUTPUTS + i % NET_OUTPUTS] = 1;
        for (size_t i = 0; i < 2 * b; i++)
            order[i] = (uint32_t)(b - 1 - i % b);
        for (int i = 0; i < NET_PARAMETERS; i++)
            params[i] = (T)(i * 29 % 97) / 400 - (T)0.12;
        for (int extreme = 0; extreme < 2; extreme++) {
            net_forward(params, x, b, p);
            net_loss_and_gradients(params, x, y, b, grads);
            if (net_train(params, x, y, b, 2, 7, (T)0.1, 3, n % 2 ? order : NULL, losses))
                return 1;
            for (int i = 0; i < NET_PARAMETERS; i++)
                params[i] *= extreme ? 1 : (T)1e30; /* inf and NaN are numbers like others */
        }
        free(x), free(y), free(params), free(grads), free(p), free(order);
    }
    return 0;
}
"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2-10-2", "native"),
        ("2-10-2", "portable"),
        (WIDE, "vectors"),
        (WIDE, "portable"),
        (UNITS, "vectors"),
    ],
)
def test_clean_under_the_sanitizers(tmp_path: Path, text: str, kind: str) -> None:
    dtype = "float32" if kind == "vectors" else "float64"
    path = write(c_source(text, dtype), tmp_path)
    driver = tmp_path / "driver.c"
    driver.write_text(DRIVER.replace("NUMBER", "float" if dtype == "float32" else "double"))
    extra = {
        "vectors": (),
        "portable": ("-DNET_PORTABLE", "-DCHUNK=16"),
        "native": ("-march=native",),
    }[kind]
    out = compile_c(path, driver, out=tmp_path / "a.out", flags=(*SANITIZED, *extra))
    done = subprocess.run([out], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_sanitizers_see_a_step_beyond(tmp_path: Path) -> None:
    source = c_source("2-10-2", "float32")
    text = source.text.replace("first + s < count;", "first + s < count + 1;")
    assert text != source.text
    path = write(replace(source, text=text), tmp_path)
    driver = tmp_path / "driver.c"
    driver.write_text(DRIVER.replace("NUMBER", "float"))
    out = compile_c(path, driver, out=tmp_path / "a.out", flags=SANITIZED)
    done = subprocess.run([out], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


@pytest.mark.parametrize("spec", ["2-10-2", "2-6:relu-1"])
def test_its_main_trains_circles(tmp_path: Path, spec: str) -> None:
    loss = "cross-entropy" if spec == "2-10-2" else "binary-cross-entropy"
    path = write(c_source(parse_spec(spec, loss=loss), "float32"), tmp_path)
    for compiler in compilers() if spec == "2-10-2" else compilers()[:1]:
        out = compile_c(
            path, out=tmp_path / "a.out", flags=("-O3", "-DNET_MAIN"), compiler=compiler
        )
        done = subprocess.run([out], capture_output=True, text=True, check=True)
        found = re.fullmatch(
            r"test accuracy ([\d.]+) %  train accuracy ([\d.]+) %  train loss ([\d.]+)  "
            r"150 epochs\n",
            done.stdout,
        )
        assert found, done.stdout
        assert 80 < float(found[1]) < 98
        assert 80 < float(found[2]) < 98


def test_other_networks_have_no_main() -> None:
    assert "NET_MAIN" not in c_source("3-4-2").text
    assert "NET_MAIN" not in c_source("2-4-3").text


def test_the_header_stands_alone_and_in_cpp(tmp_path: Path) -> None:
    path = write(c_source("2-10-2"), tmp_path)
    only = tmp_path / "only.c"
    only.write_text('#include "net.h"\n#include "net.h"\nint main(void) { return NET_W2 != 30; }\n')
    out = compile_c(only, out=tmp_path / "only", flags=("-O0",))
    assert subprocess.run([out], check=False).returncode == 0
    assert path.with_suffix(".h").read_text("utf-8").count('extern "C"') == 1


# ------------------------------------------------------------------ the text


def test_the_public_names_are_the_contracts() -> None:
    source = generate("2-10-2", target="c", prefix="rings", dtype="float64")
    text = re.sub(r"\s+", " ", source.header or "")
    for line in (
        "double rings_loss_and_gradients( const double *params, const double *x, "
        "const double *y, size_t b, double *grads);",
        "void rings_forward(const double *params, const double *x, size_t b, double *p);",
        "int rings_train( double *params, const double *x, const double *y, size_t m, "
        "size_t epochs, size_t batch, double eta, uint64_t seed, const uint32_t *order, "
        "double *losses);",
    ):
        assert line in text
    offsets = dict(re.findall(r"RINGS_([Wb]\d) = (\d+),", text))
    assert offsets == {"W1": "0", "b1": "20", "W2": "30", "b2": "50"}
    assert "RINGS_PARAMETERS = 52 " in text
    own = source.text.partition("#ifdef RINGS_MAIN")[0]
    shared = re.findall(r"^(?!static|PRIVATE|typedef|#)\w[\w ]*?(\w+)\(", own, re.MULTILINE)
    assert shared == ["rings_forward", "rings_loss_and_gradients", "rings_train"]


def test_the_same_text_again() -> None:
    one, other = c_source(NETWORKS["wide"]), c_source(NETWORKS["wide"])
    assert (one.text, one.header) == (other.text, other.header)


def test_each_formula_stands_above_the_lines_that_compute_it() -> None:
    text = c_source("2-10-2", "float32").text
    part = text.split("step_block(\n")[1]
    assert "// dZ1 = dH1 ∘ (1 − H1 ∘ H1)\n" in part
    assert "lanes dz1 = (1.0f - H1[j] * H1[j]) * dh1;\n" in part


@pytest.mark.parametrize("prefix", ["2x", "a-b", "", "int", "é", "_x", "a b"])
def test_what_cannot_begin_a_name(prefix: str) -> None:
    assert not is_prefix(prefix)
    with pytest.raises(InputError, match="cannot begin names in C"):
        generate("2-10-2", target="c", prefix=prefix)


def test_what_c_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="no function for it"):
        generate("2-10-2", target="c", hvp=True)
    with pytest.raises(InputError, match="lab's functions are Python"):
        generate("2-10-2", target="c", names="lab")
    with pytest.raises(InputError, match="in C"):
        codegen.compile_module(c_source("2-10-2"))
    with pytest.raises(InputError, match=r'"fortran" is not known\. Known: numba, numpy, c'):
        generate("2-10-2", target="fortran")


def test_numbers_are_written_exactly() -> None:
    draw = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        for number in [*draw.standard_normal(200), 1e-40, 3.0, -0.0, 1e30, 12582912.0]:
            written = literal(number, dtype).strip("()").removesuffix("f")
            value = np.dtype(dtype).type(number)
            assert np.dtype(dtype).type(ast.literal_eval(written)) == value
            assert "." in written or "e" in written
            assert np.signbit(value) == (written[0] == "-")
    assert literal(1e300, "float32") == "(T)INFINITY"
    assert literal(float("nan"), "float64") == "(T)NAN"


def test_an_unknown_function_has_no_form() -> None:
    with pytest.raises(InternalError, match="gamma"):
        function_sources(["gamma"], "float32")


def test_the_flags_are_strict() -> None:
    assert {"-Wall", "-Wextra", "-Werror", "-std=c99"} <= set(STRICT)
