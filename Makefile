# Each target is one line that a person could type.
.PHONY: check test slow golden bench sizes

check: sizes
	ruff check . && ruff format --check . && mypy

test:
	pip install -q '.[test]' && pytest

slow:
	pip install -q '.[test]' && pytest -m slow

golden:
	pip install -q '.[test]' && pytest tests/generation --update-golden

bench:
	gradwright bench circles --against torch,numpy && gradwright bench mnist --against torch,numpy

# informs, and fails on nothing: a file should be read in one sitting
sizes:
	@git ls-files derive codegen runtime | grep '\.py$$' | xargs wc -l | sort -n | tail -15
