"""A thorax as functions of position: signed distances (mm, negative inside) and the HU of what lies there.

Points are LPS mm around the middle of the chest: x to the left, y to the back, z to the head. Proportions are those of
a slim adult with raised arms; nothing is copied from a patient.
"""

from __future__ import annotations

import numpy as np

FAT_HU, MUSCLE_HU, BLOOD_HU, SKIN_HU = -105.0, 52.0, 42.0, 5.0
LUNG_HU, AIR_HU = -865.0, -1000.0

_EDGE_MM = 1.0
"""Width of the partial-volume ramp at a surface, about one voxel."""

Array = np.ndarray


def lung_distance(x: Array, y: Array, z: Array) -> Array:
    """Distance to the lung surface (mm, negative inside), both lungs."""
    return np.maximum(np.maximum(pleural_cage(x, y, z), diaphragm_height(x, y) - z), -mediastinum_distance(x, y, z))


def pleural_cage(x: Array, y: Array, z: Array) -> Array:
    """Distance to the inner chest wall: a superellipsoid for each side, both reaching the midline."""
    up = np.maximum(z, 0.0)
    centre_x = 61.0 - 0.0024 * up**2
    # the chest is narrower and further back towards the apex
    return _superellipsoid(np.abs(x) - centre_x, y - 4.0 - 0.0012 * up**2, z + 26.0, (60.0, 82.0, 122.0))


def diaphragm_height(x: Array, y: Array) -> Array:
    """z of the diaphragm: a dome for each side, the right one higher, deepest in the posterior recess."""
    top = np.where(x < 0, np.float32(-52.0), np.float32(-62.0))
    across, along = (np.abs(x) - 50.0) / 60.0, (y + 12.0) / 84.0
    return top - 46.0 * (across**2 + along**2) ** 1.25


def mediastinum_distance(x: Array, y: Array, z: Array) -> Array:
    """Distance to everything between the lungs, with the fat around it."""
    upper = np.clip((z - 5.0) / 50.0, 0.0, 1.0)
    core = _ellipse(x - 1.0, y - 2.0 - 8.0 * upper, 20.0 + 12.0 * upper, 66.0 - 14.0 * upper)
    hila = np.minimum(_ball(x + 33.0, y - 14.0, z + 4.0, 15.0), _ball(x - 35.0, y - 14.0, z + 2.0, 14.0))
    spine = _ellipse(x, y - 66.0, 24.0, 24.0)
    return _union(_union(core, heart(x, y, z) - 4.0), np.minimum(np.minimum(hila, spine), aorta(x, y, z) - 2.5), 8.0)


def heart(x: Array, y: Array, z: Array) -> Array:
    """Distance to the heart, its apex to the left, front and below."""
    turned_x, turned_y = 0.85 * (x - 18.0) - 0.52 * (y + 16.0), 0.52 * (x - 18.0) + 0.85 * (y + 16.0)
    tilted_z = z + 44.0 + 0.25 * (x - 18.0)
    return _ellipsoid(turned_x, turned_y, tilted_z, (53.0, 38.0, 46.0))


def aorta(x: Array, y: Array, z: Array) -> Array:
    """Distance to the aorta: ascending, arch (half a torus) and descending."""
    ascending = np.maximum(_cylinder(x + 8.0, y + 10.0, 15.5), np.abs(z - 4.0) - 32.0)
    descending = np.maximum(_cylinder(x - 22.0, y - 42.0, 11.5), z - 36.0)
    along_x, along_y = 30.0 / 60.0, 52.0 / 60.0
    forward = (x - 7.0) * along_x + (y - 16.0) * along_y
    sideways = (x - 7.0) * along_y - (y - 16.0) * along_x
    ring = np.sqrt(forward**2 + ((z - 30.0) * 1.5) ** 2) - 30.0
    arch = np.maximum(np.sqrt(ring**2 + sideways**2) - 12.5, 30.0 - z)
    return np.minimum(np.minimum(ascending, descending), arch)


def tissue_hu(x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """HU at points and the lung distance there; no trees, no nodules, no noise."""
    cage = pleural_cage(x, y, z)
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), AIR_HU, np.float32)
    skin = _ellipse_super(x, y - 3.0, 147.0 + 3.0 * np.cos(z / 45.0), 107.0)
    _put(hu, SKIN_HU, skin)
    _put(hu, FAT_HU, skin + 2.2)
    _put(hu, MUSCLE_HU, _muscle(x, y, z, cage, skin))
    _put(hu, -90.0, np.maximum(cage, -6.0 - cage))
    _put_bones(hu, x, y, z, cage, skin)
    lungs = lung_distance(x, y, z)
    _put_inside_chest(hu, x, y, z, cage)
    _put(hu, MUSCLE_HU, np.maximum(lungs - 1.6, cage - 1.0))
    lung_hu = LUNG_HU + 0.35 * np.clip(y, -80, 80) + 25.0 * np.clip(-z / 100.0, -1, 1)
    occupancy = _occupancy(lungs)
    hu += occupancy * (lung_hu - hu)
    _put(hu, hu + 130.0, np.maximum(_fissure(x, y, z), lungs))
    return hu, lungs


def _muscle(x: Array, y: Array, z: Array, cage: Array, skin: Array) -> Array:
    side = np.abs(x)
    wall = cage - 13.0 - 3.0 * np.cos(side / 28.0) - 0.45 * np.maximum(z - 30.0, 0.0)
    erector = _ellipse(side - 30.0, y - 90.0, 24.0, 15.0)
    pectoral = np.maximum(_ellipse(side - 62.0, y + 78.0 - 0.006 * (side - 62.0) ** 2, 48.0, 9.0), 10.0 - z)
    latissimus = np.maximum(_ellipse(side - 112.0, y - 48.0, 14.0, 34.0), z - 40.0)
    shoulder = np.maximum(_ellipse(side - 92.0, y - 62.0, 40.0, 22.0), 15.0 - z)
    groups = np.minimum(np.minimum(erector, pectoral), np.minimum(latissimus, shoulder))
    return np.maximum(np.minimum(wall, groups), skin + 5.0)


def _put_bones(hu: Array, x: Array, y: Array, z: Array, cage: Array, skin: Array) -> None:
    _put_ribs(hu, x, y, z, cage)
    disc = np.abs((z + 200.0) % 26.0 - 13.0) > 10.5
    body = _ellipse(x, y - 66.0, 18.0, 15.0)
    arch = np.minimum(_ellipse(x, y - 90.0, 15.0, 11.0), _ellipse(np.abs(x) - 22.0, y - 88.0, 14.0, 5.0))
    spinous = _ellipse(x, y - 103.0, 3.2, 9.0)
    _put(hu, 420.0, np.where(disc, np.float32(50.0), np.minimum(arch, spinous)))
    _put(hu, np.where(disc, np.float32(90.0), np.float32(480.0)), body)
    _put(hu, np.where(disc, np.float32(90.0), np.float32(190.0)), body + 2.0)
    _put(hu, 20.0, _ellipse(x, y - 87.0, 9.0, 7.5))
    sternum = np.maximum(_ellipse(x, y + 80.0 - 0.1 * z, 19.0, 7.0), np.abs(z - 10.0) - 85.0)
    _put(hu, 380.0, sternum)
    _put(hu, 130.0, sternum + 2.0)
    # scapulae: thin plates behind the upper ribs
    across, through = 0.8 * (np.abs(x) - 88.0) + 0.6 * (y - 76.0), -0.6 * (np.abs(x) - 88.0) + 0.8 * (y - 76.0)
    blade = _ellipsoid(across, through + 0.004 * across**2, z - 66.0, (27.0, 3.4, 50.0))
    _put(hu, 520.0, np.maximum(blade, skin + 11.0))


def _put_ribs(hu: Array, x: Array, y: Array, z: Array, cage: Array) -> None:
    """Ribs as flattened bands on the chest wall that run down towards the front, cartilage near the sternum."""
    towards_front = np.arccos(np.clip((y - 4.0) / np.sqrt(x**2 + (y - 4.0) ** 2 + 1e-3), -1, 1)) / np.pi
    level = z + 88.0 * towards_front
    off_centre = (level + 10.5) % 21.0 - 10.5
    rib = (np.sqrt(((cage - 6.5) / 3.4) ** 2 + (off_centre / 5.6) ** 2) - 1.0) * 3.4
    rib = np.maximum(rib, 20.0 - np.abs(x))
    cartilage = np.clip((towards_front - 0.78) / 0.06, 0.0, 1.0)
    _put(hu, 620.0 - 510.0 * cartilage, rib)
    _put(hu, 240.0 - 130.0 * cartilage, rib + 1.3)


def _put_inside_chest(hu: Array, x: Array, y: Array, z: Array, cage: Array) -> None:
    """Mediastinal fat and organs, and the upper abdomen below the diaphragm."""
    _put(hu, -95.0, np.maximum(mediastinum_distance(x, y, z), np.minimum(cage - 2.0, np.abs(x) - 30.0))
         + np.where(y > 46.0, np.float32(50.0), np.float32(0.0)))  # fmt: skip
    below = np.maximum(z - diaphragm_height(x, y), cage)
    _put(hu, -95.0, below)
    _put(hu, 58.0, np.maximum(below, np.maximum(x - 12.0, y - 62.0)))
    _put(hu, 48.0, np.maximum(below, _ellipsoid(x - 88.0, y - 35.0, z + 100.0, (30.0, 44.0, 40.0))))
    _put(hu, 35.0, np.maximum(below, _ellipsoid(x - 52.0, y + 20.0, z + 104.0, (36.0, 40.0, 36.0))))
    _put(hu, BLOOD_HU, heart(x, y, z))
    _put(hu, BLOOD_HU, aorta(x, y, z))
    _put(hu, BLOOD_HU, np.maximum(_ellipse(x + 28.0, y + 4.0, 9.0, 8.0), -z))  # superior vena cava
    _put(hu, BLOOD_HU, _ellipsoid(x - 16.0, y + 10.0, z + 2.0, (15.0, 20.0, 16.0)))  # pulmonary trunk
    _put(hu, BLOOD_HU, np.maximum(_ellipse(z + 4.0, y - 6.0 - 0.08 * np.abs(x), 10.0, 9.0), np.abs(x + 2.0) - 38.0))
    for centre_x, centre_y, radius in ((-16.0, 2.0, 7.0), (14.0, 2.0, 5.0), (24.0, 12.0, 5.5)):  # neck vessels
        _put(hu, BLOOD_HU, np.maximum(_cylinder(x - centre_x, y - centre_y, radius), 38.0 - z))
    _put(hu, 35.0, _cylinder(x - 6.0, y - 36.0, 7.0))  # oesophagus


def _fissure(x: Array, y: Array, z: Array) -> Array:
    """Distance to the oblique fissures, half a millimetre thick, from high behind to low in front."""
    slope = np.where(x < 0, np.float32(0.80), np.float32(0.88))
    height = -18.0 + slope * (y - 4.0) + 4.0 * np.sin(x / 22.0)
    return np.abs(z - height) / np.sqrt(1.0 + slope**2) - 0.3


def _occupancy(distance: Array) -> Array:
    return np.clip(0.5 - distance / _EDGE_MM, 0.0, 1.0)


def _put(hu: Array, value: Array | float, distance: Array) -> None:
    """Blend a structure in, partial volume at its edge."""
    hu += _occupancy(distance) * (value - hu)


def _ball(x: Array, y: Array, z: Array, radius: float) -> Array:
    return np.sqrt(x**2 + y**2 + z**2) - radius


def _cylinder(x: Array, y: Array, radius: float) -> Array:
    return np.sqrt(x**2 + y**2) - radius


def _ellipse(x: Array, y: Array, a: Array | float, b: Array | float) -> Array:
    return (np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1.0) * np.minimum(a, b)


def _ellipsoid(x: Array, y: Array, z: Array, axes: tuple[float, float, float]) -> Array:
    return (np.sqrt((x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (z / axes[2]) ** 2) - 1.0) * min(axes)


def _power(value: Array) -> Array:
    """|v|^2.5, cheaply."""
    magnitude = np.abs(value)
    return magnitude * magnitude * np.sqrt(magnitude)


def _superellipsoid(x: Array, y: Array, z: Array, axes: tuple[float, float, float]) -> Array:
    ratio = (_power(x / axes[0]) + _power(y / axes[1]) + _power(z / axes[2])) ** 0.4
    radial = np.sqrt(x**2 + y**2 + z**2)
    return radial - radial / np.maximum(ratio, 0.05)


def _ellipse_super(x: Array, y: Array, a: Array, b: float) -> Array:
    ratio = (_power(x / a) + _power(y / b)) ** 0.4
    radial = np.sqrt(x**2 + y**2)
    return radial - radial / np.maximum(ratio, 0.05)


def _union(a: Array, b: Array, width_mm: float = 10.0) -> Array:
    """Smooth minimum: two bodies with a rounded seam."""
    overlap = np.maximum(width_mm - np.abs(a - b), 0.0)
    return np.minimum(a, b) - overlap**2 / (4.0 * width_mm)
