"""Real spectra: what the library holds, and true figures of features, mixtures and bands."""

import numpy as np
import pytest

from course_utils.errors import CourseError
from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.spectra import Band, Window


@pytest.fixture(scope="module")
def library(prepared):
    return spectra.library()


def measured(name, which=0):
    own = spectra.spectrum(name)
    return spectra.measure(own.nm, own.reflectance, own.windows[which])


# --- the library -------------------------------------------------------------------------------


def test_the_library_holds_77_spectra_of_2151_values_with_their_windows(library):
    assert len(library) == 77
    assert all(own.reflectance.shape == (2151,) for own in library.values())
    assert sum(len(own.windows) for own in library.values()) == 142


def test_wavelengths_are_whole_nanometres_from_350_to_2500(library):
    nm = library["calcite"].nm
    assert (nm[0], nm[-1]) == (350, 2500)
    assert set(np.diff(nm)) == {1.0}


def test_a_quarter_of_the_values_is_missing_and_never_in_between(library):
    known = np.array([np.isfinite(own.reflectance) for own in library.values()])
    assert 1 - known.mean() == pytest.approx(0.26, abs=0.005)
    assert all(np.abs(np.diff(row.astype(int))).sum() <= 2 for row in known)


def test_a_spectrum_says_where_it_was_measured(library):
    assert library["kaolinite_wxl"].measured == (1351, 2500)


def test_spectra_are_shared_and_cannot_be_changed(library):
    with pytest.raises(ValueError, match="read-only"):
        library["calcite"].reflectance[0] = 1


def test_mixtures_made_by_computer_are_known_as_such(library):
    assert library["alunite.5+kaolinite.5"].is_computed
    assert not library["kaolinite+muscovite_mix_intimate"].is_computed


def test_a_misspelt_name_gets_a_hint(library):
    with pytest.raises(CourseError) as caught:
        spectra.spectrum("kaolinite_wx")
    assert "kaolinite_wxl" in caught.value.cure


# --- one feature -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "which", "centre"),
    [
        ("kaolinite_wxl", 0, 2208),
        ("muscovite_medhighAl", 0, 2197),
        ("calcite", 0, 2335),
        ("dolomite", 0, 2315),
        ("alunite_K_250C", 0, 1477),
        ("pyrophyllite", 0, 2167),
        ("gypsum", 1, 1746),
        ("nontronite", 0, 2288),
        ("buddingtonite", 0, 2115),
        ("topaz", 0, 2085),
    ],
)
def test_minerals_absorb_where_the_literature_says(library, name, which, centre):
    """Clark et al. 1990 and 1999 give the same centres to within some nanometres."""
    assert measured(name, which).centre == centre


def test_aluminium_moves_the_mica_band_to_shorter_wavelengths(library):
    """Duke 1994: fewer Al, longer wavelength."""
    names = ("muscovite_medhighAl", "muscovite_medAl", "muscovite_lowAl", "muscovite_Fe-rich")
    centres = [measured(name).centre for name in names]
    assert centres == sorted(centres)
    assert len(set(centres)) == 4


def test_every_diagnostic_window_of_a_mineral_holds_an_absorption(library):
    water = ("vegetation", "water", "snow", "dry_veg")
    for own in library.values():
        for window in own.windows:
            if window.weight < 0.3 or own.name.startswith(water):
                continue
            assert spectra.measure(own.nm, own.reflectance, window).depth > 0.03, own.name


def triangle(depth=0.4, slope=0.0):
    """A V of known centre 2200, half width 50 at the base, on a straight line."""
    nm = np.arange(2000.0, 2401.0)
    line = 0.5 + slope * (nm - 2200)
    return nm, line * (1 - depth * np.clip(1 - np.abs(nm - 2200) / 50, 0, None))


WINDOW = Window((2080, 2120), (2280, 2320))


@pytest.mark.parametrize("slope", [0.0, 0.001, -0.001])
def test_a_triangle_on_a_slope_has_its_true_centre_depth_and_width(slope):
    found = spectra.measure(*triangle(slope=slope), WINDOW)
    assert found.centre == 2200
    assert found.depth == pytest.approx(0.4, abs=1e-9)
    assert found.width == pytest.approx(50, abs=1e-6)  # half of the base


def test_without_continuum_removal_a_slope_moves_the_minimum():
    nm, reflectance = triangle(depth=0.1, slope=-0.0012)
    assert nm[reflectance[: 2300 - 2000].argmin()] != 2200
    assert spectra.measure(nm, reflectance, WINDOW).centre == 2200


def test_missing_values_elsewhere_do_not_matter():
    nm, reflectance = triangle()
    reflectance[:60] = np.nan
    assert spectra.measure(nm, reflectance, WINDOW).centre == 2200


def test_a_window_without_values_is_a_clear_error():
    nm, reflectance = triangle()
    reflectance[70:130] = np.nan
    with pytest.raises(CourseError, match="no value between 2080 and 2120 nm"):
        spectra.measure(nm, reflectance, WINDOW)
    with pytest.raises(CourseError, match="where the continuum should stand"):
        spectra.measure(nm, reflectance, Window((900, 920), (1000, 1020)))


def test_the_width_of_half_a_feature_is_unknown():
    nm, reflectance = triangle()
    found = spectra.measure(nm, reflectance, Window((2080, 2120), (2199, 2201)))
    assert np.isnan(found.width)


# --- noise, mixtures, bands --------------------------------------------------------------------


def test_noise_has_the_wanted_ratio_and_comes_from_the_seed():
    flat = np.full(20_000, 0.5)
    noisy = spectra.add_noise(flat, 100, seed=1)
    assert noisy.std() == pytest.approx(0.005, rel=0.03)  # sampling error of a deviation: 0.5 %
    assert np.array_equal(noisy, spectra.add_noise(flat, 100, seed=1))
    assert not np.array_equal(noisy, spectra.add_noise(flat, 100, seed=2))
    with pytest.raises(CourseError, match="signal-to-noise"):
        spectra.add_noise(flat, 0, seed=1)


@pytest.mark.parametrize("fractions", [[0.25, 0.75], [0.0, 1.0], [0.6, 0.4]])
def test_unmixing_finds_the_fractions_of_a_mixture_of_real_spectra(library, fractions):
    members = [library[name].reflectance for name in ("alunite_K_250C", "kaolinite_wxl")]
    told = spectra.unmix(spectra.mix(members, fractions), members)
    assert told == pytest.approx(fractions, abs=1e-6)


def test_unmixing_is_close_with_noise_and_never_negative(library):
    members = [library[name].reflectance for name in ("calcite", "topaz", "gypsum")]
    mixed = spectra.add_noise(spectra.mix(members, [0.7, 0.3, 0.0]), 50, seed=3)
    told = spectra.unmix(mixed, members)
    assert told == pytest.approx([0.7, 0.3, 0.0], abs=0.02)
    assert told.min() >= 0
    assert told.sum() == pytest.approx(1, abs=1e-4)


def test_the_librarys_own_mixture_is_unmixed_into_its_halves(library):
    """alunite.5+kaolinite.5 was computed by USGS from poorly ordered kaolinite and alunite."""
    members = [library[name].reflectance for name in ("alunite_K_250C", "kaolinite_pxl")]
    told = spectra.unmix(library["alunite.5+kaolinite.5"].reflectance, members)
    assert told == pytest.approx([0.5, 0.5], abs=0.1)


@pytest.mark.parametrize("fractions", [[0.5], [0.7, 0.7], [-0.1, 1.1], []])
def test_fractions_that_are_no_parts_of_a_whole_are_refused(fractions):
    with pytest.raises(CourseError, match="fractions"):
        spectra.mix([np.ones(3), np.ones(3)], fractions)


def test_spectra_without_common_bands_cannot_be_unmixed():
    with pytest.raises(CourseError, match="common bands"):
        spectra.unmix(np.ones(2), [np.array([1, np.nan]), np.array([np.nan, 1])])


def test_a_band_is_the_mean_of_its_wavelengths_and_unknown_outside():
    nm = np.arange(1000.0, 1101.0)
    bands = [Band("a", 1000, 1010), Band("b", 1090, 1110)]
    values = spectra.resample(nm, nm / 1000, bands)
    assert values[0] == pytest.approx(1.005)
    assert np.isnan(values[1])


def test_a_band_with_a_gap_is_unknown(library):
    own = library["muscovite_lowAl"]
    assert np.isnan(spectra.resample(own.nm, own.reflectance, [Band("VNIR", 520, 600)]))[0]


def test_narrow_bands_are_evenly_spaced_and_named_by_their_centre():
    bands = spectra.narrow_bands(2100, 2200, 5)
    assert [band.name for band in bands] == ["2100", "2125", "2150", "2175", "2200"]
    assert {band.high - band.low for band in bands} == {10}


# --- figures -----------------------------------------------------------------------------------


def test_the_titles_state_what_was_measured(library):
    from course_utils.drawing import figure_title
    from course_utils.tracks.geology import plots as spectra_plots

    title = figure_title(spectra_plots.plot_spectrum("kaolinite_wxl"))
    assert title == (
        "Well-crystallised kaolinite: absorption at 2208 nm, depth 0.48, 65 nm wide at half depth"
    )
    mixture = spectra_plots.plot_mixture("alunite_K_250C", "kaolinite_wxl", (0.25,))
    assert "25% for 25%" in figure_title(mixture).replace("\u00a0", " ")
    bands = spectra_plots.plot_resampled("pyrophyllite")
    assert "ASTER B5, WorldView-3 SWIR-5" in figure_title(bands)


def test_a_figure_of_what_is_not_there_is_a_clear_error(library):
    from course_utils.tracks.geology import plots as spectra_plots

    for draw in (
        lambda: spectra_plots.plot_spectrum("granite"),
        lambda: spectra_plots.plot_resampled("calcite", ("IKONOS",)),
        lambda: spectra_plots.plot_mixture("calcite", "dolomite", ()),
        lambda: spectra_plots.plot_mixture("calcite", "dolomite", (1.5,)),
    ):
        with pytest.raises(CourseError):
            draw()
