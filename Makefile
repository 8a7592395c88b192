# Each target is one line that a person could type.
.PHONY: check test slow score golden bench ulp notebook sizes examples dist sbom workflows

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

# one for each kind of user, in a folder that goes again; they need the extras torch, onnx and
# sklearn, onnxruntime, and a C compiler
examples:
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	for name in lecturer student embedded_c_user pytorch_user "sklearn_user --repeats 2"; do \
		echo "-- $$name" && set -- $$name && file=$$1 && shift && \
		python "$(CURDIR)/examples/$$file.py" "$$@" || exit 1; \
	done

# source distribution and, from it, the wheel; the tools are in .ci/tools.txt
dist:
	rm -rf dist && python -m build && twine check --strict dist/* && check-wheel-contents dist/*.whl

# what comes with the wheel where it is installed by itself: a bill of materials, in CycloneDX
sbom:
	rm -rf build/sbom && python -m venv build/sbom && build/sbom/bin/pip install -q dist/*.whl
	cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible \
		--spec-version 1.6 --validate -o dist/gradwright.cdx.json build/sbom/bin/python

workflows:
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

# informs, and fails on nothing: a file should be read in one sitting
sizes:
	@git ls-files derive codegen runtime | grep '\.py$$' | xargs wc -l | sort -n | tail -15
