# Each target is one line that a person could type.
.PHONY: check test slow score golden bench ulp notebook sizes

check: sizes
	ruff check . && ruff format --check . && mypy

test:
	pip install -q '.[test]' && pytest

slow:
	pip install -q '.[test]' && pytest -m slow

# how many of the students' mistakes `gradwright grade` names, over all files: two minutes
score:
	pip install -q '.[test]' && pytest -n 0 -s -m slow tests/grading/test_corpus.py -k score

golden:
	pip install -q '.[test]' && pytest tests/generation --update-golden

bench:
	gradwright bench circles --against torch,numpy && gradwright bench mnist --against torch,numpy

# errors of the elementary functions over every float32, as this processor computes and as one
# that has AVX2 does: some minutes a function; the bits must be the same
ulp:
	pip install -q '.[test]' && python tests/support/ulp.py --all && NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+fma,+bmi,+bmi2 python tests/support/ulp.py --all

# examples/lab/lab.ipynb is made from lab.py, the text that is edited; it has no outputs
notebook:
	jupytext --quiet --to ipynb --update examples/lab/lab.py

# informs, and fails on nothing: a file should be read in one sitting
sizes:
	@git ls-files derive codegen runtime | grep '\.py$$' | xargs wc -l | sort -n | tail -15
