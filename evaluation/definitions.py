"""Definitions of all measures in words, for results.json: numbers without these cannot be compared."""

MEASURES = {
    "cd": "Chamfer distance chamfer_l2_sq: mean over points of the squared distance to the nearest point of the other"
    " cloud, both directions summed. PointFlow (Yang et al. 2019).",
    "emd": "Earth mover's distance: mean distance of the points of two clouds of N points, matched one to one, of the"
    " matching that makes it least. PointFlow (Yang et al. 2019).",
    "emd_sq": "The same with squared distances, of the matching that makes their mean least. PVD (Zhou et al. 2021),"
    " LION (Zeng et al. 2022).",
    "mmd": "Minimum matching distance: mean over references of the distance to the nearest sample. Less is better.",
    "mmd_smp": "The other direction: mean over samples of the distance to the nearest reference.",
    "cov": "Coverage: share of references that are the nearest one of some sample. More is better. Achlioptas et al."
    " 2018.",
    "nna_acc": "1-NNA: leave-one-out accuracy of the 1-nearest-neighbour classifier of references against samples. 0.5"
    " is best, 1: told apart without fail, below 0.5: samples sit on references. PointFlow (Yang et al. 2019).",
    "nna_acc_t": "Share of references whose nearest other cloud is a reference.",
    "nna_acc_f": "Share of samples whose nearest other cloud is a sample.",
    "jsd": "Jensen-Shannon divergence, base 2, in [0, 1], of how the points of all samples and of all references fall"
    " on a grid of 28^3 in the unit cube, clipped to the ball of radius 0.5. Achlioptas et al. 2018. Stands with CD.",
    "nearest_training": "CD of each cloud to the nearest of all training clouds: median and least over a set. Exact."
    " Pairs that bounds rule out are not compared.",
    "spread": "mean and sd (of a sample, n - 1) over the sample sets, values: each set's; sd is null for one set.",
    "unsettled": "Share of seeds, drawn evenly within 0.02 mesh units of the decoded surface, whose distance stays"
    " above 0.005 in 8 steps down the field: they found no surface. Less is better; compare with test shapes.",
    "pieces": "Components of a mesh of 64 cells per axis beyond the largest, those of less than 0.002 square mesh units"
    " left out. loose_area: their share of the mesh's area.",
    "border_length": "Length of all open borders of that mesh, mesh units. border_ratio: its mean over that of test"
    " shapes.",
    "nna_codes": "1-NNA of codes against test codes, by Euclidean distances of codes; leading: on the principal"
    " directions on which the flow has couplings alone.",
    "chamfer_udf": "Half of CD: the mean of accuracy and completeness. CAP-UDF (Zhou et al. 2022).",
    "accuracy": "Mean squared distance from the points of a reconstruction to the nearest true point.",
    "completeness": "Mean squared distance from the true points to the nearest point of a reconstruction.",
    "f_score": "Harmonic mean of the shares of points nearer than the threshold to the other cloud, not squared.",
    "normal_consistency": "Mean |cos| of the normal of each point and that of the nearest point of the other cloud,"
    " both directions averaged; 1 is best. Occupancy Networks (Mescheder et al. 2019), section 4. The normals of both"
    " clouds are those of the planes of the 16 nearest other points of each point.",
    "thickness": "Root mean square distance of a set's points to these planes. Less is thinner; bends and sheets close"
    " to each other count too: compare with the floor.",
    "nll": "Nats per dimension of whitened codes, with the noise of the flow's training.",
    "auroc": "Chance that a test shape has a higher log-likelihood than a shape of the set; ties count half.",
}
SETS = {
    "flow": "Set k: shapes number 1,000,000 k, 1,000,000 k + 1, ... of the seed; set 0 has those of generate.py.",
    "Gaussian on whitened codes": "Standard normal numbers, un-whitened and decoded.",
    "interpolated neighbours": "A random training code mixed with one of its three nearest, whitened, and decoded.",
    "floor: training shapes": "Random parts of the training shapes, true surfaces, as many shapes as references.",
    "floor: training shapes, decoded": "The same parts, decoded from their codes.",
}
