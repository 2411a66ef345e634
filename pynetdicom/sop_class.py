"""Every SOP Class by its keyword, such as ``CTImageStorage``, and the well-known SOP Instances.

The names are those of PS3.6, taken from pydicom's UID dictionary, and those that scripts have used
for the same UIDs since version 1.0; `register_uid` adds more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from pydicom import config
from pydicom.uid import UID

from pynetdicom.services import classes, registry
from pynetdicom.services.classes import ServiceClass
from pynetdicom.services.registry import register_uid as register_uid
from pynetdicom.uids import ALIASES, SPELLINGS, standard_names, uid_of

_GROUPS = {
    # Names that scripts import, of dicts of keyword → UID: the service class.
    "_APPLICATION_EVENT_CLASSES": "ApplicationEventLogging",
    "_BASIC_WORKLIST_CLASSES": "BasicWorklistManagement",
    "_COLOR_PALETTE_CLASSES": "ColorPaletteQueryRetrieve",
    "_DEFINED_PROCEDURE_CLASSES": "DefinedProcedureProtocolQueryRetrieve",
    "_DISPLAY_SYSTEM_CLASSES": "DisplaySystemManagement",
    "_HANGING_PROTOCOL_CLASSES": "HangingProtocolQueryRetrieve",
    "_IMPLANT_TEMPLATE_CLASSES": "ImplantTemplateQueryRetrieve",
    "_INSTANCE_AVAILABILITY_CLASSES": "InstanceAvailabilityNotification",
    "_INVENTORY_CLASSES": "InventoryQueryRetrieve",
    "_MEDIA_CREATION_CLASSES": "MediaCreationManagement",
    "_MEDIA_STORAGE_CLASSES": "",
    "_NON_PATIENT_OBJECT_CLASSES": "NonPatientObjectStorage",
    "_PRINT_MANAGEMENT_CLASSES": "PrintManagement",
    "_PROCEDURE_STEP_CLASSES": "ProcedureStep",
    "_PROTOCOL_APPROVAL_CLASSES": "ProtocolApprovalQueryRetrieve",
    "_QR_CLASSES": "QueryRetrieve",
    "_RELEVANT_PATIENT_QUERY_CLASSES": "RelevantPatientInformationQuery",
    "_RT_MACHINE_VERIFICATION_CLASSES": "RTMachineVerification",
    "_STORAGE_CLASSES": "",
    "_STORAGE_COMMITMENT_CLASSES": "StorageCommitment",
    "_STORAGE_MANAGEMENT_CLASSES": "StorageManagement",
    "_SUBSTANCE_ADMINISTRATION_CLASSES": "SubstanceAdministrationQuery",
    "_UNIFIED_PROCEDURE_STEP_CLASSES": "UnifiedProcedureStep",
    "_VERIFICATION_CLASSES": "Verification",
}
_LISTS: dict[str, Callable[[], Iterable[str]]] = {
    # Those of version 0.9; together with Verification they fit into one association.
    "STORAGE_CLASS_LIST": lambda: classes.StorageServiceClass.sop_classes,
    "QR_CLASS_LIST": lambda: list(classes.QueryRetrieveServiceClass.sop_classes)[:12],
}


class SOPClass(UID):
    """The UID of a SOP Class, which knows the service class that it belongs to."""

    @property
    def service_class(self) -> type[ServiceClass]:
        """Return the service class; `ServiceClass` itself when it belongs to none."""
        return registry.service_class_of(self)


def uid_to_service_class(uid: str) -> type[ServiceClass]:
    """Return the service class of a SOP Class UID; `ServiceClass` when it belongs to none."""
    return registry.service_class_of(uid)


def uid_to_sop_class(uid: str) -> SOPClass:
    """Return `uid` as `SOPClass`, whether it is known or not."""
    # Known ones are kept; those of peers would never end.
    return _sop_class(uid) if registry.is_named(uid) else _sop_class.__wrapped__(uid)


@cache
def _sop_class(uid: str) -> SOPClass:
    # It may be a peer's: pydicom shall not warn about it.
    return SOPClass(uid, validation_mode=config.IGNORE)


def _group(name: str) -> Iterable[str]:
    """The UIDs of a group of `_GROUPS`."""
    if name == "_STORAGE_CLASSES":
        return registry.all_storage()
    if name == "_MEDIA_STORAGE_CLASSES":
        return (registry.MEDIA_STORAGE_DIRECTORY,)
    service_class: type[ServiceClass] = getattr(classes, f"{_GROUPS[name]}ServiceClass")
    return service_class.sop_classes


def _get(name: str) -> Any:
    if name in _GROUPS:
        names = {**standard_names(), **{name: uid_of(name) for name in SPELLINGS}}
        name_of = dict(zip(names.values(), names, strict=True))  # the spelling goes last
        return {name_of[uid]: uid for uid in _group(name)}
    if name in _LISTS:
        return [_sop_class(uid) for uid in _LISTS[name]()]
    uid = uid_of(name)
    if uid is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return UID(uid) if registry.is_sop_instance(uid) else _sop_class(uid)


def __dir__() -> list[str]:
    return sorted({*globals(), *standard_names(), *ALIASES, *_GROUPS, *_LISTS})


if not TYPE_CHECKING:
    __getattr__ = _get
    __all__ = ["SOPClass", "register_uid", "uid_to_service_class", "uid_to_sop_class"]
    __all__ += [*standard_names(), *ALIASES]  # noqa: PLE0604
else:
    # What `_get` gives, for type checkers and editors; a test keeps it in step.
    # fmt: off
    (
        AcquisitionContextSRStorage, AdvancedBlendingPresentationStateStorage,
        AmbulatoryECGWaveformStorage, ArterialPulseWaveformStorage, AudioSRStorageTrial,
        AudioWaveformRealTimeCommunication, AutorefractionMeasurementsStorage, BasicAnnotationBox,
        BasicAnnotationBoxSOPClass, BasicColorImageBox, BasicColorImageBoxSOPClass,
        BasicColorPrintManagementMeta, BasicColorPrintManagementMetaSOPClass,
        BasicColourImageBoxSOPClass, BasicFilmBox, BasicFilmBoxSOPClass, BasicFilmSession,
        BasicFilmSessionSOPClass, BasicGrayscaleImageBox, BasicGrayscaleImageBoxSOPClass,
        BasicGrayscalePrintManagementMeta, BasicGrayscalePrintManagementMetaSOPClass,
        BasicPrintImageOverlayBox, BasicStructuredDisplayStorage, BasicStudyContentNotification,
        BasicTextSRStorage, BasicVoiceAudioWaveformStorage,
        BlendingSoftcopyPresentationStateStorage, BodyPositionWaveformStorage,
        BreastImagingRelevantPatientInformationQuery, BreastProjectionXRayImagePresentationStorage,
        BreastProjectionXRayImageProcessingStorage, BreastProjectionXRayImageStorageForPresentation,
        BreastProjectionXRayImageStorageForProcessing, BreastTomosynthesisImageStorage,
        CArmPhotonElectronRadiationRecordStorage, CArmPhotonElectronRadiationStorage,
        CTDefinedProcedureProtocolStorage, CTImageStorage, CTImageStorageForProcessing,
        CTPerformedProcedureProtocolStorage, CardiacElectrophysiologyWaveformStorage,
        CardiacRelevantPatientInformationQuery, ChestCADSRStorage, ColonCADSRStorage,
        ColorPaletteInformationModelFind, ColorPaletteInformationModelGet,
        ColorPaletteInformationModelMove, ColorPaletteQueryRetrieveInformationModelFind,
        ColorPaletteQueryRetrieveInformationModelGet, ColorPaletteQueryRetrieveInformationModelMove,
        ColorPaletteStorage, ColorSoftcopyPresentationStateStorage,
        CompositeInstanceRetrieveWithoutBulkDataGet, CompositeInstanceRootRetrieveGet,
        CompositeInstanceRootRetrieveMove, CompositingPlanarMPRVolumetricPresentationStateStorage,
        Comprehensive3DSRStorage, ComprehensiveSRStorage, ComprehensiveSRStorageTrial,
        ComputedRadiographyImageStorage, ConfocalMicroscopyImageStorage,
        ConfocalMicroscopyTiledPyramidalImageStorage, ContentAssessmentResultsStorage,
        CornealTopographyMapStorage, DICOS2DAITStorage, DICOS3DAITStorage, DICOSCTImageStorage,
        DICOSDigitalXRayImageStorageForPresentation, DICOSDigitalXRayImageStorageForProcessing,
        DICOSQuadrupoleResonanceStorage, DICOSThreatDetectionReportStorage,
        DefinedProcedureProtocolInformationModelFind, DefinedProcedureProtocolInformationModelGet,
        DefinedProcedureProtocolInformationModelMove, DeformableSpatialRegistrationStorage,
        DermoscopicPhotographyImageStorage, DetachedInterpretationManagement,
        DetachedPatientManagement, DetachedPatientManagementMeta, DetachedResultsManagement,
        DetachedResultsManagementMeta, DetachedStudyManagement, DetachedStudyManagementMeta,
        DetachedVisitManagement, DetailSRStorageTrial, DigitalIntraOralXRayImagePresentationStorage,
        DigitalIntraOralXRayImageProcessingStorage, DigitalIntraOralXRayImageStorageForPresentation,
        DigitalIntraOralXRayImageStorageForProcessing,
        DigitalMammographyXRayImagePresentationStorage,
        DigitalMammographyXRayImageProcessingStorage,
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalMammographyXRayImageStorageForProcessing, DigitalXRayImagePresentationStorage,
        DigitalXRayImageProcessingStorage, DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing, DisplaySystem, DisplaySystemSOPClass,
        EddyCurrentImageStorage, EddyCurrentMultiFrameImageStorage, ElectromyogramWaveformStorage,
        ElectrooculogramWaveformStorage, EncapsulatedCDAStorage, EncapsulatedMTLStorage,
        EncapsulatedOBJStorage, EncapsulatedPDFStorage, EncapsulatedSTLStorage,
        EnhancedCTImageStorage, EnhancedCTImageStorageForProcessing,
        EnhancedContinuousRTImageStorage, EnhancedMRColorImageStorage, EnhancedMRImageStorage,
        EnhancedPETImageStorage, EnhancedRTImageStorage, EnhancedSRStorage, EnhancedUSVolumeStorage,
        EnhancedXAImageStorage, EnhancedXRFImageStorage, EnhancedXRayRadiationDoseSRStorage,
        ExtensibleSRStorage, General32bitECGWaveformStorage, GeneralAudioWaveformStorage,
        GeneralECGWaveformStorage, GeneralPurposePerformedProcedureStep,
        GeneralPurposeScheduledProcedureStep, GeneralPurposeWorklistInformationModelFind,
        GeneralPurposeWorklistManagementMeta, GeneralRelevantPatientInformationQuery,
        GenericImplantTemplateInformationModelFind, GenericImplantTemplateInformationModelGet,
        GenericImplantTemplateInformationModelMove, GenericImplantTemplateStorage,
        GrayscalePlanarMPRVolumetricPresentationStateStorage,
        GrayscaleSoftcopyPresentationStateStorage, HangingProtocolInformationModelFind,
        HangingProtocolInformationModelGet, HangingProtocolInformationModelMove,
        HangingProtocolStorage, HardcopyColorImageStorage, HardcopyGrayscaleImageStorage,
        HeightMapSegmentationStorage, HemodynamicWaveformStorage, ImageOverlayBox,
        ImplantAssemblyTemplateInformationModelFind, ImplantAssemblyTemplateInformationModelGet,
        ImplantAssemblyTemplateInformationModelMove, ImplantAssemblyTemplateStorage,
        ImplantTemplateGroupInformationModelFind, ImplantTemplateGroupInformationModelGet,
        ImplantTemplateGroupInformationModelMove, ImplantTemplateGroupStorage,
        ImplantationPlanSRDocumentStorage, ImplantationPlanSRStorage,
        InstanceAvailabilityNotification, InstanceAvailabilityNotificationSOPClass,
        IntraocularLensCalculationsStorage,
        IntravascularOpticalCoherenceTomographyImagePresentationStorage,
        IntravascularOpticalCoherenceTomographyImageProcessingStorage,
        IntravascularOpticalCoherenceTomographyImageStorageForPresentation,
        IntravascularOpticalCoherenceTomographyImageStorageForProcessing, InventoryCreation,
        InventoryFind, InventoryGet, InventoryMove, InventoryStorage,
        KeratometryMeasurementsStorage, KeyObjectSelectionDocumentStorage,
        KeyObjectSelectionStorage, LabelMapSegmentationStorage,
        LegacyConvertedEnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorageForProcessing,
        LegacyConvertedEnhancedMRImageStorage, LegacyConvertedEnhancedPETImageStorage,
        LensometryMeasurementsStorage, MRImageStorage, MRSpectroscopyStorage,
        MacularGridThicknessAndVolumeReport, MacularGridThicknessAndVolumeReportStorage,
        MammographyCADSRStorage, MediaCreationManagement, MediaCreationManagementSOPClass,
        MediaStorageDirectoryStorage, MicroscopyBulkSimpleAnnotationsStorage,
        ModalityPerformedProcedureStep, ModalityPerformedProcedureStepNotification,
        ModalityPerformedProcedureStepNotificationSOPClass, ModalityPerformedProcedureStepRetrieve,
        ModalityPerformedProcedureStepRetrieveSOPClass, ModalityPerformedProcedureStepSOPClass,
        ModalityWorklistInformationFind, ModalityWorklistInformationModelFind,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage, MultichannelRespiratoryWaveformStorage,
        MultiframeGrayscaleByteSecondaryCaptureImageStorage,
        MultiframeGrayscaleWordSecondaryCaptureImageStorage,
        MultiframeSingleBitSecondaryCaptureImageStorage,
        MultiframeTrueColorSecondaryCaptureImageStorage,
        MultipleVolumeRenderingVolumetricPresentationStateStorage, NuclearMedicineImageStorage,
        NuclearMedicineImageStorageRetired, OphthalmicAxialMeasurementsStorage,
        OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage,
        OphthalmicOpticalCoherenceTomographyEnFaceImageStorage,
        OphthalmicPhotography16BitImageStorage, OphthalmicPhotography8BitImageStorage,
        OphthalmicThicknessMapStorage, OphthalmicTomographyImageStorage,
        OphthalmicVisualFieldStaticPerimetryMeasurementsStorage,
        OphthlamicOpticalCoherenceTomographyBScanVolumeAnalysisStorage,
        OphthlamicOpticalCoherenceTomographyBscanVolumeAnalysisStorage, ParametricMapStorage,
        PatientRadiationDoseSRStorage, PatientRootQueryRetrieveInformationModelFind,
        PatientRootQueryRetrieveInformationModelGet, PatientRootQueryRetrieveInformationModelMove,
        PatientStudyOnlyQueryRetrieveInformationModelFind,
        PatientStudyOnlyQueryRetrieveInformationModelGet,
        PatientStudyOnlyQueryRetrieveInformationModelMove,
        PerformedImagingAgentAdministrationSRStorage, PerformedImagingAgestAdministrationSRStorage,
        PhotoacousticImageStorage, PlannedImagingAgentAdministrationSRStorage,
        PositronEmissionTomographyImageStorage, PresentationLUT, PresentationLUTSOPClass, PrintJob,
        PrintJobSOPClass, PrintQueueManagement, Printer, PrinterConfigurationRetrieval,
        PrinterConfigurationRetrievalSOPClass, PrinterSOPClass, ProceduralEventLogging,
        ProceduralEventLoggingSOPClass, ProcedureLogStorage, ProcedureSRStorage,
        ProductCharacteristicsQuery, ProductCharacteristicsQueryInformationModelFind,
        ProtocolApprovalInformationModelFind, ProtocolApprovalInformationModelGet,
        ProtocolApprovalInformationModelMove, ProtocolApprovalStorage,
        PseudoColorSoftcopyPresentationStageStorage, PseudoColorSoftcopyPresentationStateStorage,
        PseudocolorSoftcopyPresentationStageStorage, PullPrintRequest,
        PullStoredPrintManagementMeta, RTBeamsDeliveryInstructionStorage,
        RTBeamsDeliveryInstructionStorageTrial, RTBeamsTreatmentRecordStorage,
        RTBrachyApplicationSetupDeliveryInstructionStorage,
        RTBrachyApplicationSetupDeliveryInstructionsStorage, RTBrachyTreatmentRecordStorage,
        RTConventionalMachineVerification, RTConventionalMachineVerificationTrial, RTDoseStorage,
        RTImageStorage, RTIonBeamsTreatmentRecordStorage, RTIonMachineVerification,
        RTIonMachineVerificationTrial, RTIonPlanStorage,
        RTPatientPositionAcquisitionInstructionStorage, RTPhysicianIntentStorage, RTPlanStorage,
        RTRadiationRecordSetStorage, RTRadiationSalvageRecordStorage,
        RTRadiationSetDeliveryInstructionStorage, RTRadiationSetStorage, RTSegmentAnnotationStorage,
        RTStructureSetStorage, RTTreatmentPreparationStorage, RTTreatmentSummaryRecordStorage,
        RadiopharmaceuticalRadiationDoseSRStorage, RawDataStorage, RealWorldValueMappingStorage,
        ReferencedColorPrintManagementMeta, ReferencedGrayscalePrintManagementMeta,
        ReferencedImageBox, RenditionSelectionDocumentRealTimeCommunication, RepositoryQuery,
        RespiratoryWaveformStorage, RoboticArmRadiationRecordStorage, RoboticArmRadiationStorage,
        RoboticRadiationRecordStorage, RoutineScalpElectroencephalogramWaveformStorage,
        SecondaryCaptureImageStorage, SegmentationStorage,
        SegmentedVolumeRenderingVolumetricPresentationStateStorage, SimplifiedAdultEchoSRStorage,
        SleepElectroencephalogramWaveformStorage, SpatialFiducialsStorage,
        SpatialRegistrationStorage, SpectaclePrescriptionReportStorage, StandaloneCurveStorage,
        StandaloneModalityLUTStorage, StandaloneOverlayStorage, StandalonePETCurveStorage,
        StandaloneVOILUTStorage, StereometricRelationshipStorage, StorageCommitmentPullModel,
        StorageCommitmentPushModel, StorageCommitmentPushModelSOPClass, StoredPrintStorage,
        StudyComponentManagement, StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove,
        SubjectiveRefractionMeasurementsStorage, SubstanceAdministrationLogging,
        SubstanceAdministrationLoggingSOPClass, SubstanceApprovalQuery,
        SubstanceApprovalQueryInformationModelFind, SurfaceScanMeshStorage,
        SurfaceScanPointCloudStorage, SurfaceSegmentationStorage, TextSRStorageTrial,
        TomotherapeuticRadiationRecordStorage, TomotherapeuticRadiationStorage,
        TractographyResultsStorage, TwelveLeadECGWaveformStorage, UltrasoundImageStorage,
        UltrasoundImageStorageRetired, UltrasoundMultiFrameImageStorage,
        UltrasoundMultiFrameImageStorageRetired, UltrasoundMultiframeImageStorage,
        UnifiedProcedureStepEvent, UnifiedProcedureStepEventSOPClass,
        UnifiedProcedureStepEventTrial, UnifiedProcedureStepPull, UnifiedProcedureStepPullSOPClass,
        UnifiedProcedureStepPullTrial, UnifiedProcedureStepPush, UnifiedProcedureStepPushSOPClass,
        UnifiedProcedureStepPushTrial, UnifiedProcedureStepQuery, UnifiedProcedureStepQuerySOPClass,
        UnifiedProcedureStepWatch, UnifiedProcedureStepWatchSOPClass,
        UnifiedProcedureStepWatchTrial, UnitedProcedureStepEvent, UnitedProcedureStepPull,
        UnitedProcedureStepPush, UnitedProcedureStepWatch, VLEndoscopicImageStorage,
        VLImageStorageTrial, VLMicroscopicImageStorage, VLMultiFrameImageStorageTrial,
        VLPhotographicImageStorage, VLSlideCoordinatesMicroscopicImageStorage,
        VLWholeSlideMicroscopyImageStorage, VOILUTBox,
        VariableModalityLUTSoftcopyPresentationStageStorage,
        VariableModalityLUTSoftcopyPresentationStateStorage, Verification, VerificationSOPClass,
        VideoEndoscopicImageRealTimeCommunication, VideoEndoscopicImageStorage,
        VideoMicroscopicImageStorage, VideoPhotographicImageRealTimeCommunication,
        VideoPhotographicImageStorage, VisualAcuityMeasurementsStorage,
        VolumeRenderingVolumetricPresentationStateStorage,
        WaveformAcquisitionPresentationStateStorage, WaveformAnnotationSRStorage,
        WaveformPresentationStateStorage, WaveformStorageTrial,
        WideFieldOphthalmicPhotography3DCoordinatesImageStorage,
        WideFieldOphthalmicPhotographyStereographicProjectionImageStorage,
        XADefinedProcedureProtocolStorage, XAPerformedProcedureProtocolStorage,
        XAXRFGrayscaleSoftcopyPresentationStateStorage, XRay3DAngiographicImageStorage,
        XRay3DCraniofacialImageStorage, XRayAngiographicBiPlaneImageStorage,
        XRayAngiographicImageStorage, XRayRadiationDoseSRStorage, XRayRadiofluoroscopicImageStorage,
    ) = iter([SOPClass("")])
    (
        DisplaySystemInstance, DisplaySystemSOPInstance, FallPalette, HotIronPalette,
        HotMetalBluePalette, PET20StepPalette, PETPalette, PrintQueueInstance,
        PrinterConfigurationRetrievalInstance, PrinterConfigurationRetrievalSOPInstance,
        PrinterInstance, PrinterSOPInstance, ProceduralEventLoggingInstance,
        ProceduralEventLoggingSOPInstance, SpringPalette, StorageCommitmentPullModelInstance,
        StorageCommitmentPushModelInstance, StorageCommitmentPushModelSOPInstance,
        StorageManagementInstance, SubstanceAdministrationLoggingInstance,
        SubstanceAdministrationLoggingSOPInstance, SummerPalette,
        UPSFilteredGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionSOPInstance,
        UPSGlobalSubscriptionInstance, UPSGlobalSubscriptionSOPInstance, WinterPalette,
    ) = iter([UID("")])
    [
        _APPLICATION_EVENT_CLASSES, _BASIC_WORKLIST_CLASSES, _COLOR_PALETTE_CLASSES,
        _DEFINED_PROCEDURE_CLASSES, _DISPLAY_SYSTEM_CLASSES, _HANGING_PROTOCOL_CLASSES,
        _IMPLANT_TEMPLATE_CLASSES, _INSTANCE_AVAILABILITY_CLASSES, _INVENTORY_CLASSES,
        _MEDIA_CREATION_CLASSES, _MEDIA_STORAGE_CLASSES, _NON_PATIENT_OBJECT_CLASSES,
        _PRINT_MANAGEMENT_CLASSES, _PROCEDURE_STEP_CLASSES, _PROTOCOL_APPROVAL_CLASSES,
        _QR_CLASSES, _RELEVANT_PATIENT_QUERY_CLASSES, _RT_MACHINE_VERIFICATION_CLASSES,
        _STORAGE_CLASSES, _STORAGE_COMMITMENT_CLASSES, _STORAGE_MANAGEMENT_CLASSES,
        _SUBSTANCE_ADMINISTRATION_CLASSES, _UNIFIED_PROCEDURE_STEP_CLASSES, _VERIFICATION_CLASSES,
    ] = iter([dict[str, str]()])
    [QR_CLASS_LIST, STORAGE_CLASS_LIST] = iter([list[SOPClass]()])
    # fmt: on
