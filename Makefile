# make course   set up, prepare model and data, run the five notebooks, end with the report
# make test     the whole test suite: lint, format, unit tests, five notebooks on a nano model
# make hostile  attacks on the sandbox, the warm server: needs requirements-grading.txt
# make long     the other tests that take minutes: another domain from file to mark, the exercises
# make classroom classes of 36 and 39, one for each assignment, built and graded: hours; it can be cut off
# make grade-demo  a class of 8 on the nano model, trained (once) and graded
# make colab-twin  Colab's versions, its set-up cell, the notebooks and the lab: needs the network
# make assignment  the reference solution of weeks 9-10, end to end, in runs/week09_10
# make week05   the reference solution of week 5, end to end, in runs/week05
# make site     the course as static pages in runs/site, for a browser without network
# make setup    only the virtual environment, the model and the data (needs the network once)

PYTHON ?= python3
PRESET ?= auto
# Another base model: make course BASE_MODEL=gemma-3-270m (it gets a run folder of its own)
BASE_MODEL ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: whole course test hostile long classroom grade-demo colab-twin assignment \
	week05 site setup doctor clean

course: $(VENV)/.prepared
	@$(BIN)/course run --preset $(PRESET) --resume $(if $(BASE_MODEL),\
		-p base_model $(BASE_MODEL) --out runs/manufacturing-$(PRESET)-$(notdir $(BASE_MODEL)))

# What needs tests or reference solutions: a student edition has none.
whole:
	@test -d tests || { echo "Error: this is a student edition, without tests and solutions"; \
		echo "Cure: make course, make setup and make doctor work here"; exit 1; }

test: whole $(VENV)/.prepared $(VENV)/.dev $(VENV)/.serve
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --timeout 900 -m "not long"

# Attacks on the sandbox, the warm server with its real libraries: some minutes.
hostile: whole $(VENV)/.prepared $(VENV)/.dev $(VENV)/.grading $(VENV)/.report
	$(BIN)/python -m pytest --timeout 900 tests/hostile tests/execution

# The long tests of the other rooms: five notebooks on data of one's own, an assignment in another
# domain from records to grades, exercises that train.
long: whole $(VENV)/.prepared $(VENV)/.dev $(VENV)/.grading $(VENV)/.report $(VENV)/.serve
	$(BIN)/python -m pytest --timeout 7200 -m long --ignore=tests/hostile --ignore=tests/execution \
		--ignore=tests/classroom

# Honest and cheating students of both assignments, marks as the hand-outs promise. What was trained
# once is kept in runs/classroom, what was graded in runs/classes: run it again and it goes on.
classroom: whole $(VENV)/.prepared $(VENV)/.dev $(VENV)/.grading $(VENV)/.report $(VENV)/.serve
	$(BIN)/python tests/classroom/whole.py
	$(BIN)/python -m pytest --timeout 7200 tests/classroom

DEMO ?= runs/grade_demo

grade-demo: whole $(VENV)/.prepared $(VENV)/.dev $(VENV)/.grading $(VENV)/.report
	@$(BIN)/python tests/classroom/demo.py $(DEMO)

# An environment with the versions of Colab's image, built once; each run tries a copy of it.
# TWIN_PYTHON: Colab has 3.13. uv, which builds it, stands beside it and not in it.
TWIN_PYTHON ?= python3.13
TWIN ?= .colab-twin
TWIN_LIST := tests/colab/packages_2026-08-19.txt

colab-twin: whole $(VENV)/.prepared $(TWIN)/.built
	$(BIN)/python tests/colab/twin.py $(TWIN)/base/bin/python $(TWIN)/work

$(TWIN)/.built: $(TWIN_LIST)
	$(TWIN_PYTHON) -m venv $(TWIN)/tools
	$(TWIN)/tools/bin/python -m pip install --quiet uv
	$(TWIN_PYTHON) -m venv --clear $(TWIN)/base
	$(TWIN)/tools/bin/uv pip install --python $(TWIN)/base/bin/python --no-deps -r $(TWIN_LIST)
	$(TWIN)/tools/bin/uv pip install --python $(TWIN)/base/bin/python -c $(TWIN_LIST) torch
	$(TWIN)/base/bin/python -c "import pandas, matplotlib.pyplot, torch, ipykernel, transformers"
	@touch $@

# The steps of the solution's README, in a copy. Run it again and it keeps what is finished.
# A folder is filled when it is new, or was filled by this Makefile before: nobody's work is replaced.
define claim
@test -z "$$(ls -A $(1) 2>/dev/null)" || test -e $(1)/.course-kit.json || { \
	echo "Error: $(1): it holds files that make did not put there"; \
	echo "Cure: rename it, or name another folder, as in make $@ $(2)=runs/other"; exit 1; }
@mkdir -p $(1) && echo '{"made_by": "Fine-Tuning Course Kit", "of": "make $@"}' > $(1)/.course-kit.json
endef

SOLUTION := assignments/week09_10_manufacturing/solution
WORK ?= runs/week09_10

assignment: whole $(VENV)/.prepared $(VENV)/.serve
	$(call claim,$(WORK),WORK)
	@cp -r $(SOLUTION)/. $(WORK)/
	$(BIN)/python $(WORK)/scripts/prepare_data.py
	$(BIN)/python $(WORK)/scripts/train.py --resume
	$(BIN)/python $(WORK)/scripts/evaluate.py
	$(BIN)/python $(WORK)/scripts/serve.py --measure
	$(BIN)/course run $(WORK)/finetuning_pipeline.ipynb --out $(WORK)/run/notebook --fresh
	cp $(WORK)/run/notebook/finetuning_pipeline.ipynb $(WORK)/finetuning_pipeline.ipynb
	$(BIN)/course submit check $(WORK)
	$(BIN)/course submit pack $(WORK) --overwrite

# Week 5: records, adapter, answers, the executed analysis, report, check.
LAB := assignments/week05_parameter_lab/solution
LAB_WORK ?= runs/week05
LAB_RECORDS ?= --records 640 --held_out 80
LAB_TRAIN ?= --learning_rate 2e-3 --num_train_epochs 1 --per_device_train_batch_size 4 \
	--gradient_accumulation_steps 2 --max_length 256 --lora_dropout 0 --logging_steps 4

week05: whole $(VENV)/.prepared $(VENV)/.report
	$(call claim,$(LAB_WORK),LAB_WORK)
	@cp -r $(LAB)/. course_utils/lab/handed_out/train_lora.py $(LAB_WORK)/
	$(BIN)/python $(LAB_WORK)/prepare_records.py $(LAB_RECORDS)
	$(BIN)/python $(LAB_WORK)/train_lora.py --data $(LAB_WORK)/records.jsonl \
		--out $(LAB_WORK)/adapter/ $(LAB_TRAIN)
	$(BIN)/python $(LAB_WORK)/inference_lora.py --adapter $(LAB_WORK)/adapter/ \
		--questions $(LAB_WORK)/test_questions.jsonl
	$(BIN)/python $(LAB_WORK)/inference_lora.py --adapter $(LAB_WORK)/adapter/ --show 0 \
		--questions $(LAB_WORK)/held_out.jsonl --out $(LAB_WORK)/held_out_answers.json
	$(BIN)/course run $(LAB_WORK)/parameter_analysis.ipynb \
		--out $(LAB_WORK)/run/notebook --fresh
	cp $(LAB_WORK)/run/notebook/parameter_analysis.ipynb $(LAB_WORK)/parameter_analysis.ipynb
	$(BIN)/course report $(LAB_WORK) --format pdf
	$(BIN)/course submit check $(LAB_WORK)
	$(BIN)/course submit pack $(LAB_WORK) --overwrite

# From a run's executed notebooks; one is made where there is none. See course site --help.
SITE_RUN ?= runs/manufacturing-quick
SITE ?= runs/site

site: $(VENV)/.prepared $(VENV)/.site
	@test -f $(SITE_RUN)/results.json || $(BIN)/course run --preset quick --resume --out $(SITE_RUN)
	@$(BIN)/course site $(SITE_RUN) --out $(SITE)

setup: $(VENV)/.prepared

doctor: $(VENV)/.installed
	@$(BIN)/course doctor

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make course PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the libraries (a few minutes the first time) ..."
	@$(PIP) -r requirements.txt -c constraints.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.installed
	@$(PIP) -r requirements-dev.txt -c constraints.txt
	@$(BIN)/course data prepare --benchmarks
	@touch $@

# The sandbox's filter of system calls.
$(VENV)/.grading: requirements-grading.txt $(VENV)/.installed
	@$(PIP) -r requirements-grading.txt -c constraints.txt
	@touch $@

# Only the PDF and the slides of `course report` need these.
$(VENV)/.report: requirements-report.txt $(VENV)/.installed
	@$(PIP) -r requirements-report.txt -c constraints.txt
	@touch $@

# Only `course site` needs these.
$(VENV)/.site: requirements-site.txt $(VENV)/.installed
	@$(PIP) -r requirements-site.txt -c constraints.txt
	@touch $@

# The fast engine of `course serve`, and `course export --gguf`. The converter is fetched too.
$(VENV)/.serve: requirements-serve.txt $(VENV)/.installed
	@$(PIP) -r requirements-serve.txt -c constraints.txt
	@$(BIN)/course serve --prepare
	@touch $@

$(VENV)/.prepared: $(VENV)/.installed
	@$(BIN)/course model prepare
	@$(BIN)/course model prepare nano
	@$(BIN)/course data prepare
	@touch $@

clean:
	rm -rf $(VENV)
