"""The pure materials whose spectra are asked about, with the features measured on them."""

from dataclasses import dataclass
from functools import lru_cache

from course_utils.tracks.geology import spectra
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/materials")

# name in the library -> family of minerals; mixtures, and second rules on the same measurement,
# are left out
FAMILIES = {
    "muscovite_lowAl": "white mica",
    "muscovite_medAl": "white mica",
    "muscovite_medhighAl": "white mica",
    "muscovite_Fe-rich": "white mica",
    "illite_imt1": "white mica",
    "illite_gds4": "white mica",
    "kaolinite_wxl": "kaolin",
    "kaolinite_pxl": "kaolin",
    "kaolinite+clay_mica_or_halloysite": "kaolin",
    "kaolinite_or_dickite": "kaolin",
    "buddingtonite": "buddingtonite",
    "alunite_K_250C": "alunite",
    "alunite_Na_450C": "alunite",
    "pyrophyllite": "pyrophyllite",
    "jarosite_Na": "jarosite",
    "jarosite_K": "jarosite",
    "montmorillonite_Na": "smectite",
    "montmorillonite_Ca": "smectite",
    "nontronite": "smectite",
    "hectorite": "smectite",
    "gypsum": "gypsum",
    "chlorite_lowFe": "chlorite",
    "clinochlore": "chlorite",
    "clinochlore_Fe": "chlorite",
    "thuringite": "chlorite",
    "epidote": "epidote",
    "calcite": "carbonate",
    "dolomite": "carbonate",
    "carbonate_Fe_bearing": "carbonate",
    "chalcedony": "silica",
    "hydrated_silica": "silica",
    "tremolite_or_talc": "talc and amphibole",
    "talc_or_tremolite": "talc and amphibole",
    "serpentine_antigorite_withsecondfeat": "serpentine",
    "serpentine_chrysotile": "serpentine",
    "topaz": "topaz",
    "vegetation_green": "vegetation",
    "dry_veg_grass": "vegetation",
    "dry_veg_nongrass": "vegetation",
    "snow_melting": "snow and water",
    "snow_slush": "snow and water",
}
LEAST_DEPTH = 0.04  # a shallower feature is no clear question


def title_of(name: str) -> str:
    """What a spectrum of the library shows, within a sentence."""
    return SAY.phrase("title", name)


@dataclass(frozen=True, eq=False)
class Material:
    """A pure material with its measured features, deepest first."""

    name: str  # in the library
    family: str
    spectrum: spectra.Spectrum
    features: tuple[tuple[spectra.Window, spectra.Feature], ...]

    @property
    def title(self) -> str:
        """Its name within a sentence."""
        return title_of(self.name)

    @property
    def source(self) -> str:
        return f"{self.spectrum.label}, {spectra.SOURCE}"


@lru_cache
def materials() -> tuple[Material, ...]:
    """The pure materials whose features are deep enough to ask about."""
    found = []
    for name, family in FAMILIES.items():
        own = spectra.spectrum(name)
        features = [(w, spectra.measure(own.nm, own.reflectance, w)) for w in own.windows]
        # A feature that does not rise to half its depth on both sides has the width NaN.
        clear = [(w, f) for w, f in features if f.depth >= LEAST_DEPTH and f.width == f.width]
        clear.sort(key=lambda pair: (-pair[0].weight, -pair[1].depth))
        found.append(Material(name, family, own, tuple(clear)))
    return tuple(found)
