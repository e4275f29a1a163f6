"""What a panel relies on of PythonQt, CTK and MRML, as measured in Slicer 5.12: the same in Slicer and in its stand-in.

Give it to the launcher as ``--python-script``.
"""

import sys
import tempfile
import unittest

import ctk
import numpy as np
import qt
import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class Choices:
    volume: slicer.vtkMRMLScalarVolumeNode
    folder: str = "here"
    number: int = 3
    names: list[str] = ["a"]  # noqa: RUF012  the default of a parameter


class PythonQtManners(unittest.TestCase):
    def test_a_qt_property_is_an_attribute_and_cannot_be_called(self):
        button, table = qt.QPushButton("x"), qt.QTableWidget(2, 3)
        self.assertEqual((button.text, table.rowCount, table.columnCount), ("x", 2, 3))
        for called in (button.text, table.rowCount):
            self.assertFalse(callable(called))
        button.text, button.enabled = "y", False
        self.assertEqual((button.text, button.enabled), ("y", False))

    def test_what_is_no_property_is_a_method(self):
        table = qt.QTableWidget(1, 1)
        table.setItem(0, 0, qt.QTableWidgetItem("a"))
        self.assertEqual((table.currentRow(), table.item(0, 0).text()), (-1, "a"))
        self.assertEqual(qt.QColor(255, 0, 0).name(), "#ff0000")
        self.assertEqual(qt.QProcess().state(), qt.QProcess.NotRunning)

    def test_name_is_the_object_name(self):
        widget = qt.QWidget()
        widget.name = "here"
        self.assertEqual(widget.objectName, "here")

    def test_no_attribute_can_be_made_on_a_qt_object(self):
        with self.assertRaises(AttributeError):
            qt.QPushButton().txt = "x"

    def test_a_python_subclass_has_attributes_of_its_own(self):
        class Dialog(qt.QDialog):
            pass

        dialog = Dialog()
        dialog.answer = 42
        self.assertEqual(dialog.answer, 42)

    def test_connecting_answers_whether_there_is_such_a_signal(self):
        button, heard = qt.QPushButton(), []
        self.assertTrue(button.connect("clicked()", lambda: heard.append("signature")))
        self.assertTrue(button.clicked.connect(lambda: heard.append("attribute")))
        self.assertFalse(button.connect("klicked()", lambda: None))
        button.click()
        self.assertEqual(sorted(heard), ["attribute", "signature"])

    def test_a_slot_gets_as_many_arguments_as_it_takes(self):
        box, heard = qt.QCheckBox(), []
        box.connect("toggled(bool)", lambda: heard.append(()))
        box.connect("toggled(bool)", lambda checked: heard.append((checked,)))
        box.checked = True
        self.assertEqual(heard, [(), (True,)])

    def test_a_bound_method_of_a_temporary_object_stays_connected(self):
        heard = []

        class Listener:
            def onClicked(self):
                heard.append(1)

        button = qt.QPushButton()
        button.connect("clicked()", Listener().onClicked)
        button.click()
        self.assertEqual(heard, [1])

    def test_disconnected_slots_are_not_called(self):
        button, heard = qt.QPushButton(), []

        def slot():
            heard.append(1)

        button.connect("clicked()", slot)
        button.disconnect("clicked()", slot)
        button.click()
        self.assertEqual(heard, [])

    def test_lists_come_back_as_tuples_and_bytes_as_bytes(self):
        table = qt.QTableWidget(1, 1)
        self.assertIsInstance(table.selectedItems(), tuple)
        self.assertIsInstance(qt.QFileDialog().selectedFiles(), tuple)
        self.assertEqual(qt.QByteArray(b"ab").data(), b"ab")

    def test_item_data_keeps_python_objects(self):
        item = qt.QTableWidgetItem("a")
        item.setData(qt.Qt.UserRole, {"id": "N1"})
        self.assertEqual(item.data(qt.Qt.UserRole), {"id": "N1"})

    def test_enums_are_ints_by_both_names(self):
        self.assertEqual(int(qt.Qt.AlignLeft), 1)
        self.assertEqual(qt.Qt.AlignLeft, qt.Qt.AlignmentFlag.AlignLeft)
        label = qt.QLabel()
        label.alignment = qt.Qt.AlignRight | qt.Qt.AlignVCenter
        self.assertEqual(int(label.alignment), 0x82)

    def test_a_timer_calls_once(self):
        heard = []
        qt.QTimer.singleShot(0, lambda: heard.append(1))
        timer = qt.QTimer()
        timer.singleShot = True
        self.assertTrue(timer.singleShot)
        for _wait in range(50):
            slicer.app.processEvents()
        self.assertEqual(heard, [1])

    def test_a_process_runs_and_tells_how_it_ended(self):
        process, ends = qt.QProcess(), []
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ends.append((code, status)))
        process.start(sys.executable, ["-c", "print('out')"])
        process.waitForFinished(30000)
        slicer.app.processEvents()
        self.assertEqual(process.readAllStandardOutput().data().split(), [b"out"])
        self.assertEqual(ends, [(0, qt.QProcess.NormalExit)])


class WidgetManners(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_ctk_widgets_have_their_values_as_attributes(self):
        slider, path, button, span = (
            ctk.ctkSliderWidget(),
            ctk.ctkPathLineEdit(),
            ctk.ctkCollapsibleButton(),
            ctk.ctkRangeWidget(),
        )
        slider.maximum, slider.value = 10, 4
        path.currentPath, button.text, button.collapsed = "/tmp", "t", True
        span.maximumValue, span.minimumValue = 50, 20
        self.assertEqual((slider.value, path.currentPath, button.text, button.collapsed), (4, "/tmp", "t", True))
        self.assertEqual((span.minimumValue, span.maximumValue), (20, 50))

    def test_ctk_widgets_tell_of_changes(self):
        heard = []
        path, slider, button = ctk.ctkPathLineEdit(), ctk.ctkSliderWidget(), ctk.ctkCollapsibleButton()
        self.assertTrue(path.connect("currentPathChanged(QString)", heard.append))
        self.assertTrue(slider.connect("valueChanged(double)", heard.append))
        self.assertTrue(button.connect("contentsCollapsed(bool)", heard.append))
        path.currentPath, slider.value, button.collapsed = "/tmp", 3, True
        self.assertEqual(heard, ["/tmp", 3.0, True])

    def test_a_node_selector_follows_the_scene(self):
        selector, heard = slicer.qMRMLNodeComboBox(), []
        selector.nodeTypes, selector.noneEnabled = ["vtkMRMLTextNode"], True
        selector.addAttribute("vtkMRMLTextNode", "Study", "1")
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "other")
        node = slicer.vtkMRMLTextNode()
        node.SetAttribute("Study", "1")
        node = slicer.mrmlScene.AddNode(node)
        self.assertEqual((selector.nodeCount(), selector.currentNode()), (1, None))
        selector.setCurrentNode(node)
        self.assertEqual((selector.currentNodeID, heard), (node.GetID(), [node]))
        selector.setCurrentNode(other)
        self.assertIsNone(selector.currentNode())
        selector.setCurrentNode(node)
        slicer.mrmlScene.RemoveNode(node)
        self.assertEqual((selector.nodeCount(), selector.currentNode()), (0, None))

    def test_slices_and_layouts_follow_their_nodes(self):
        manager = slicer.app.layoutManager()
        self.assertLessEqual({"Red", "Green", "Yellow"}, set(manager.sliceViewNames()))
        layout = (
            '<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="Manners"/></item></layout>'
        )
        node = manager.layoutLogic().GetLayoutNode()
        before = node.GetViewArrangement()
        node.AddLayoutDescription(64001, layout)
        manager.setLayout(64001)
        self.assertEqual(manager.layout, 64001)
        self.assertEqual(manager.sliceWidget("Manners").mrmlSliceNode().GetLayoutName(), "Manners")
        manager.setLayout(before)


class SceneManners(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_a_saved_scene_brings_back_text_segments_transforms_and_parameters(self):
        volume = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="CT")
        text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "Study")
        text.SetText("ü" * 100)
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
        segmentation.GetSegmentation().AddEmptySegment("N1", "N1")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Move")
        holder = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")
        choices = Choices(holder)
        choices.volume, choices.folder, choices.names = volume, "there", ["b", "c"]
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/scene.mrb"
            self.assertTrue(slicer.util.saveScene(file))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(file)
        self.assertEqual(slicer.util.getNode("Study").GetText(), "ü" * 100)
        self.assertIsNotNone(slicer.util.getNode("Segments").GetSegmentation().GetSegment("N1"))
        self.assertTrue(slicer.util.getNode("Move").IsA("vtkMRMLLinearTransformNode"))
        again = Choices(slicer.util.getNode("Parameters"))
        self.assertEqual(
            (again.volume.GetName(), again.folder, again.number, list(again.names)), ("CT", "there", 3, ["b", "c"])
        )

    def test_a_parameter_keeps_its_type(self):
        choices = Choices(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
        with self.assertRaises(Exception):  # noqa: B017  Slicer's own kind has no public name
            choices.number = "three"
        with self.assertRaises(Exception):  # noqa: B017
            choices.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")

    def test_modules_widgets_exist_only_after_the_module_was_selected(self):
        self.assertFalse(hasattr(slicer.modules, "SegmentEditorWidget"))
        slicer.util.selectModule("SegmentEditor")
        self.assertIsNotNone(slicer.modules.SegmentEditorWidget.editor)
        slicer.util.selectModule("Data" if hasattr(slicer.modules.data, "widgetRepresentation") else "DICOM")


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    passed = result.wasSuccessful() and result.testsRun > 0 and not result.skipped
    print(f"tests run: {result.testsRun}, skipped: {len(result.skipped)}, passed: {passed}")
    slicer.util.exit(slicer.util.EXIT_SUCCESS if passed else slicer.util.EXIT_FAILURE)


main()
