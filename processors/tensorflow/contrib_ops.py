"""The ops that lived in tf.contrib and that no TensorFlow 2 has: facts of 1.12 and 1.15.

Read off the op registry of those versions before and after importing tf.contrib.
"""

# These come with their own package of tf.contrib, not with tf.contrib itself.
PACKAGES = {
    "DecodeAudio": "ffmpeg",
    "DecodeAudioV2": "ffmpeg",
    "DecodeLibsvm": "libsvm",
    "DecodeVideo": "ffmpeg",
    "EncodeAudio": "ffmpeg",
    "EncodeAudioV2": "ffmpeg",
    "FusedConv2DBiasActivation": "fused_conv",
    "HyperplaneLSHProbes": "nearest_neighbor",
    "IgniteDataset": "ignite",
    "KafkaDataset": "kafka",
    "KinesisDataset": "kinesis",
    "SequenceFileDataset": "hadoop",
    "SkipGramGenerateCandidates": "text",
}

CONTRIB_OPS = frozenset(
    """
    AdjustHsvInYiq BigtableClient BigtableLookupDataset BigtablePrefixKeyDataset
    BigtableRangeKeyDataset BigtableSampleKeyPairsDataset BigtableSampleKeysDataset
    BigtableScanDataset BigtableTable BipartiteMatch BytesInUse BytesLimit
    CreateFertileStatsVariable CreateTreeVariable DatasetToBigtable DecisionTreeResourceHandleOp
    FeatureUsageCounts FertileStatsDeserialize FertileStatsIsInitializedOp
    FertileStatsResourceHandleOp FertileStatsSerialize FinalizeTree GatherTree GrowTreeV4
    ImageConnectedComponents ImageProjectiveTransform MaskedMatmul MaxBytesInUse ObtainNext
    PeriodicResample PeriodicResampleOpGrad PmfToQuantizedCdf ProcessInputV4 RangeDecode RangeEncode
    ReinterpretStringToFloat Resampler ResamplerGrad ScatterAddNdim SingleImageRandomDotStereograms
    SparseFeatureCross SparseFeatureCrossV2 TPUReplicate TraverseTreeV4 TreeDeserialize
    TreeIsInitializedOp TreePredictionsV4 TreeSerialize TreeSize UpdateModelV4
    WALSComputePartialLhsAndRhs
    """.split()
) | frozenset(PACKAGES)
