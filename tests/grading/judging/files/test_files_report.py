"""Week 5, the report: opened inside a sandbox, its pages counted, model and loss looked for."""

import zipfile

import pytest
from file_cases import case_of, judged, share
from lab_submissions import make_lab
from sandboxes import opened
from submissions import edit_json

from course_utils.grading.judging.files import reports
from course_utils.grading.judging.files.common import WEEK05

PAGES = ("Our adapter", "Data", "Base model smollm2-135m-\u200binstruct", "Validation loss 0.500")


@pytest.fixture(scope="module")
def box():
    with opened("limits") as box:
        yield box


@pytest.fixture
def folder(tmp_path):
    made = make_lab(tmp_path / "my_lab")
    edit_json(made / "training.json", lambda told: told.update(base_model="smollm2-135m-instruct"))
    (made / "report.pdf").unlink()
    return made


def slides(path, texts):
    pptx = pytest.importorskip("pptx")
    made = pptx.Presentation()
    for text in texts:
        made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = text
    made.save(path)


def pdf(path, texts):
    typst = pytest.importorskip("typst")
    pytest.importorskip("pypdf")
    path.write_bytes(typst.compile("\n#pagebreak()\n".join(texts).encode()))


def case(folder, box):
    return case_of(folder, WEEK05, "report_opens", box)


@pytest.mark.parametrize(("write", "name"), [(slides, "report.pptx"), (pdf, "report.pdf")])
def test_a_report_that_opens_and_names_model_and_loss_earns_all(folder, box, write, name):
    write(folder / name, PAGES)
    own = case(folder, box)
    assert share(own) == 1, judged(own)


@pytest.mark.parametrize(
    ("texts", "lacking"),
    [
        (PAGES[1:], "pages"),  # "at least four pages or slides": three
        ((*PAGES[:3], "Validation loss 0.371"), "loss"),  # another loss than training.json's
        ((*PAGES[:2], "Base model gemma", PAGES[3]), "base model"),
    ],
    ids=["three slides", "other loss", "other model"],
)
def test_a_report_that_lacks_one_of_these_earns_nothing(folder, box, texts, lacking):
    slides(folder / "report.pptx", texts)
    found = judged(case(folder, box))
    assert found.points == 0
    assert lacking in found.feedback


def test_a_file_that_only_begins_like_a_report_does_not_open(folder, box):
    (folder / "report.pptx").write_bytes(b"PK\x03\x04 this is no archive")
    found = judged(case(folder, box))
    assert (found.points, "does not open" in found.evidence[0].found) == (0, True)


def test_slides_whose_xml_grows_without_end_end_in_the_sandbox_or_before(folder, box):
    path = folder / "report.pptx"
    slides(path, PAGES)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ppt/slides/slide9.xml", b" " * 6_000_000)
    found = judged(case(folder, box))
    assert (found.points, "slide 9" in found.evidence[0].found) == (0, True)


def test_no_report_earns_nothing(folder, box):
    assert share(case(folder, box)) == 0


@pytest.mark.parametrize(
    ("text", "loss", "found"),
    [
        ("loss 0.500", 0.49996, "0.500"),
        ("Verlust 1,23", 1.2345, "1,23"),
        ("loss 10.6, perplexity 41,464", 10.6326, "10.6"),
        ("loss 1.2", 1.2345, ""),  # two digits may be any loss
        ("loss 1.25", 1.2345, ""),
        ("version 0.5.0", 0.5, ""),
    ],
)
def test_a_loss_is_named_by_a_number_that_rounds_to_it(text, loss, found):
    assert reports.names_loss(text, loss) == found
