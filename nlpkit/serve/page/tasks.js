// What the page knows about each task: example texts, and the models that nlpkit uses by default.

export const EXAMPLES = {
  ner: [
    "昨天下午，北京大学的李明教授在上海图书馆介绍了他的新书《长江边的城市》。",
    "腾讯公司产品经理王芳表示，《和平精英》下个月将在日本上线。",
  ],
  relation: [
    "《流浪地球》由郭帆执导，吴京、屈楚萧主演，于2019年上映。",
    "《三体》是刘慈欣写的长篇科幻小说。",
  ],
  event: [
    "兴发集团发布公告，控股股东宜昌兴发集团于2019年11月20日将2000万股进行质押。",
    "昨日，湖人队以112:105战胜勇士队，詹姆斯因伤缺席。",
  ],
  classify: ["房间很干净，前台也热情。", "隔音太差，隔壁说话听得一清二楚。"],
  kgqa: ["长江的长度是多少？", "红楼梦的作者的出生地是哪里？", "火星上有多少家图书馆？"],
  embed: ["花呗怎么还款", "今天天气很好"],
  search: ["酒店隔音怎么样", "东西坏了想退货"],
};

/** Tasks whose results have a minimum score, as `threshold` of a request, and its bounds. */
export const WITH_THRESHOLD = ["ner", "relation", "event", "classify"];
export const MIN_THRESHOLD = 0.001;
export const MAX_THRESHOLD = 0.999;

/** Second texts for the examples of `embed`. */
export const COMPARED = ["怎样偿还花呗", "隔音太差，隔壁说话听得一清二楚。"];

/** Models that `nlpkit TASK` uses without --model. */
export const DEFAULT_MODELS = {
  ner: "ner-cluener",
  relation: "relation-duie",
  event: "event",
  classify: "sentiment",
  kgqa: "kgqa",
  embed: "embed-base",
};
