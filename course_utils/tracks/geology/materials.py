"""The pure materials whose spectra are asked about, with the features measured on them."""

from dataclasses import dataclass
from functools import lru_cache

from course_utils.tracks.geology import spectra

# name in the library -> (what to call it, the family of minerals it belongs to); mixtures, and
# second rules on the same measurement, are left out
MATERIALS = {
    "muscovite_lowAl": ("low-Al muscovite", "white mica"),
    "muscovite_medAl": ("medium-Al muscovite", "white mica"),
    "muscovite_medhighAl": ("Al-rich muscovite", "white mica"),
    "muscovite_Fe-rich": ("Fe-rich muscovite", "white mica"),
    "illite_imt1": ("illite IMt-1", "white mica"),
    "illite_gds4": ("illite from Marblehead", "white mica"),
    "kaolinite_wxl": ("well-crystallised kaolinite", "kaolin"),
    "kaolinite_pxl": ("poorly crystallised kaolinite", "kaolin"),
    "kaolinite+clay_mica_or_halloysite": ("halloysite", "kaolin"),
    "kaolinite_or_dickite": ("dickite", "kaolin"),
    "buddingtonite": ("buddingtonite", "buddingtonite"),
    "alunite_K_250C": ("K-alunite", "alunite"),
    "alunite_Na_450C": ("Na-alunite", "alunite"),
    "pyrophyllite": ("pyrophyllite", "pyrophyllite"),
    "jarosite_Na": ("Na-jarosite", "jarosite"),
    "jarosite_K": ("K-jarosite", "jarosite"),
    "montmorillonite_Na": ("Na-montmorillonite", "smectite"),
    "montmorillonite_Ca": ("Ca-montmorillonite", "smectite"),
    "nontronite": ("nontronite", "smectite"),
    "hectorite": ("hectorite", "smectite"),
    "gypsum": ("gypsum", "gypsum"),
    "chlorite_lowFe": ("Fe-poor chlorite", "chlorite"),
    "clinochlore": ("clinochlore", "chlorite"),
    "clinochlore_Fe": ("Fe-bearing clinochlore", "chlorite"),
    "thuringite": ("thuringite", "chlorite"),
    "epidote": ("epidote", "epidote"),
    "calcite": ("calcite", "carbonate"),
    "dolomite": ("dolomite", "carbonate"),
    "carbonate_Fe_bearing": ("siderite", "carbonate"),
    "chalcedony": ("chalcedony", "silica"),
    "hydrated_silica": ("opal (hyalite)", "silica"),
    "tremolite_or_talc": ("tremolite", "talc and amphibole"),
    "talc_or_tremolite": ("talc", "talc and amphibole"),
    "serpentine_antigorite_withsecondfeat": ("antigorite", "serpentine"),
    "serpentine_chrysotile": ("chrysotile", "serpentine"),
    "topaz": ("topaz", "topaz"),
    "vegetation_green": ("green spruce needles", "vegetation"),
    "dry_veg_grass": ("dry grass", "vegetation"),
    "dry_veg_nongrass": ("dry pine needles", "vegetation"),
    "snow_melting": ("melting snow", "snow and water"),
    "snow_slush": ("slush", "snow and water"),
}
LEAST_DEPTH = 0.04  # a shallower feature is no clear question


@dataclass(frozen=True, eq=False)
class Material:
    """A pure material with its measured features, deepest first."""

    name: str
    title: str
    family: str
    spectrum: spectra.Spectrum
    features: tuple[tuple[spectra.Window, spectra.Feature], ...]

    @property
    def source(self) -> str:
        return f"{self.spectrum.label}, {spectra.SOURCE}"


@lru_cache
def materials() -> tuple[Material, ...]:
    """The pure materials whose features are deep enough to ask about."""
    found = []
    for name, (title, family) in MATERIALS.items():
        own = spectra.spectrum(name)
        features = [(w, spectra.measure(own.nm, own.reflectance, w)) for w in own.windows]
        # A feature that does not rise to half its depth on both sides has the width NaN.
        clear = [(w, f) for w, f in features if f.depth >= LEAST_DEPTH and f.width == f.width]
        clear.sort(key=lambda pair: (-pair[0].weight, -pair[1].depth))
        found.append(Material(name, title, family, own, tuple(clear)))
    return tuple(found)
