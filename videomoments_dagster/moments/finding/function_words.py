"""Words of the closed classes, by language: what tells words apart where no model does.

A class is a letter; `noun_groups` says what each means.
"""

from __future__ import annotations

from collections.abc import Mapping

_ROMANCE = {
    "fr": {
        "D": "le la les l' un une",
        "O": "de du d' des",
        "R": "à au aux en dans par pour sur avec sans sous entre vers chez contre depuis pendant "
        "derrière devant après avant selon malgré",
        "C": "et ou",
        "Q": "comment pourquoi",
        "A": "grand grande grands grandes petit petite petits petites nouveau nouvelle nouveaux "
        "nouvelles nouvel premier première premiers premières deuxième second seconde dernier "
        "dernière derniers dernières bon bonne bons bonnes mauvais mauvaise vieux vieille jeune "
        "jeunes beau belle vrai vraie gros grosse haut haute long longue",
        "X": "je j' tu il elle on nous vous ils elles me m' te t' se s' lui leur leurs y ce c' cet "
        "cette ces ça cela ceci celui celle ceux celles mon ma mes ton ta tes son sa ses notre nos "
        "votre vos qui que qu' quoi dont où lequel laquelle ne n' pas plus jamais rien tout toute "
        "tous toutes autre autres même mêmes chaque quelque quelques plusieurs aucun aucune moi "
        "toi eux soi donc mais car alors ainsi comme si quand lorsque puisque parce puis ensuite "
        "très trop peu beaucoup bien mal ici là voilà voici oui non aussi encore toujours déjà "
        "maintenant aujourd'hui hier demain vraiment seulement presque moins assez surtout enfin "
        "bonjour merci bref jusque quel quelle quels quelles est-ce n'est-ce hein euh ah oh",
        "V": "est sont était étaient être été suis es sommes êtes sera seront serait soit ai as a "
        "avons avez ont avait avaient avoir eu aura auront aurait fait font faire faisait fera va "
        "vont vais allons allez aller peut peuvent peux pouvons pouvez pouvait pouvoir doit "
        "doivent dois devons devez devait devoir veut veulent veux voulons voulez vouloir sait "
        "savent sais savons savez savoir dit disent dire voit voient voir vois prend prennent "
        "prendre met mettent faut fallait vient viennent venir donne permet montre devient reste",
    },
    "es": {
        "D": "el la los las un una unos unas lo",
        "O": "de del",
        "R": "a al en con por para sin sobre entre hacia desde hasta contra según durante tras "
        "mediante bajo ante",
        "C": "y e o u",
        "Q": "cómo",
        "A": "gran grande grandes nuevo nueva nuevos nuevas primer primera primeros primeras "
        "primero segundo segunda último última últimos últimas buen buena buenos buenas mal mala "
        "mejor mejores peor mayor mayores pequeño pequeña verdadero verdadera viejo vieja",
        "X": "yo tú él ella ello nosotros nosotras vosotros ellos ellas usted ustedes me te se nos "
        "os le les mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta esto estos "
        "estas ese esa eso esos esas aquel aquella aquello aquellos aquellas que qué quien quién "
        "cual cuál cuales cuáles cuyo cuando cuándo donde dónde como si no ni sí pero sino porque "
        "pues entonces así aunque mientras también tampoco ya aún todavía siempre nunca muy mucho "
        "mucha muchos muchas poco poca pocos pocas más menos tan tanto todo toda todos todas otro "
        "otra otros otras mismo misma mismos mismas cada algo alguien algún alguna algunos algunas "
        "nada nadie ningún ninguna aquí allí ahí ahora hoy ayer mañana bien luego después antes "
        "casi solo sólo además hola gracias bueno o sea digamos uno",
        "V": "es son era eran ser sido soy eres somos fue fueron será serán sería sea está están "
        "estaba estaban estar estoy estamos he has ha hemos han había habían haber hay hubo tiene "
        "tienen tenía tengo tenemos tener hace hacen hacía hacer hago hacemos hizo puede pueden "
        "puedo podemos podía poder debe deben debemos deber va van voy vamos ir iba quiere quieren "
        "quiero queremos querer sabe saben sé sabemos saber dice dicen decir digo dijo ve ven veo "
        "vemos ver viene vienen da dan dar permite llega llegan queda pasa parece",
    },
    "pt": {
        "D": "o a os as um uma uns umas",
        "O": "de do da dos das dum duma",
        "R": "em no na nos nas num numa com por pelo pela pelos pelas para sem sobre entre até "
        "desde contra segundo durante após ao à aos às sob perante",
        "C": "e ou",
        "Q": "como",
        "A": "grande grandes novo nova novos novas primeiro primeira primeiros primeiras segunda "
        "último última últimos últimas bom boa bons boas mau má melhor melhores pior maior maiores "
        "pequeno pequena verdadeiro verdadeira velho velha",
        "X": "eu tu você ele ela nós vós vocês eles elas me te se lhe lhes meu minha meus minhas "
        "teu tua seu sua seus suas nosso nossa nossos nossas este esta isto estes estas esse essa "
        "isso esses essas aquele aquela aquilo aqueles aquelas deste desta disso dessa desse dele "
        "dela deles delas nisso nisto nesse nessa neste nesta que quê quem qual quais cujo quando "
        "onde se não nem sim mas porém porque pois então assim embora enquanto também já ainda "
        "sempre nunca muito muita muitos muitas pouco pouca poucos poucas mais menos tão tanto "
        "todo toda todos todas tudo outro outra outros outras mesmo mesma mesmos mesmas cada algo "
        "alguém algum alguma alguns algumas nada ninguém nenhum nenhuma aqui ali lá aí agora hoje "
        "ontem amanhã bem depois antes quase só além olá obrigado né tá gente aliás",
        "V": "é são era eram ser sido sou somos foi foram será serão seria seja está estão estava "
        "estavam estar estou estamos tem têm tinha tinham ter tenho temos teve há houve haver faz "
        "fazem fazia fazer faço fazemos fez pode podem posso podemos podia poder deve devem "
        "devemos dever vai vão vou vamos ir ia quer querem quero queremos querer sabe sabem sei "
        "sabemos saber diz dizem dizer digo disse vê veem vejo vemos ver vem vêm dá dão dar fica "
        "ficam ficar permite chega parece",
    },
    "it": {
        "D": "il lo la i gli le l' un uno una un'",
        "O": "di del dello della dei degli delle dell' d'",
        "R": "a al allo alla ai agli alle all' da dal dallo dalla dai dagli dalle dall' in nel "
        "nello nella nei negli nelle nell' con su sul sullo sulla sui sugli sulle sull' per tra "
        "fra senza sopra sotto dentro verso contro durante dopo prima secondo",
        "C": "e ed o",
        "Q": "come perché",
        "A": "grande grandi gran nuovo nuova nuovi nuove primo primi prime secondo seconda ultimo "
        "ultima ultimi ultime buon buona buoni buone cattivo migliore migliori peggiore maggiore "
        "maggiori piccolo piccola piccoli piccole vero vera vecchio vecchia",
        "X": "io tu lui lei noi voi loro egli ella essi mi m' ti t' si s' ci c' vi v' ne gli mio "
        "mia miei mie tuo tua suo sua suoi sue nostro nostra nostri nostre vostro vostra questo "
        "questa questi queste quest' quello quella quelli quelle quell' quel quei quegli ciò che "
        "chi cui quale quali qual quando dove dov' se non né no sì ma però poi quindi così allora "
        "dunque anche ancora già sempre mai molto molta molti molte poco poca pochi poche più meno "
        "tanto tanta tanti tante tutto tutta tutti tutte altro altra altri altre stesso stessa "
        "stessi stesse ogni qualcosa qualcuno qualche alcuni alcune niente nulla nessuno nessuna "
        "qui qua lì là ora adesso oggi ieri domani bene male quasi solo soltanto inoltre ciao "
        "grazie ecco cioè infatti proprio davvero",
        "V": "è sono era erano essere stato stata sei siamo siete fu furono sarà saranno sarebbe "
        "sia ho hai ha abbiamo avete hanno aveva avevano avere avuto fa fanno faceva fare faccio "
        "facciamo fatto può possono posso possiamo poteva potere deve devono devo dobbiamo dovere "
        "va vanno vado andiamo andare vuole vogliono voglio vogliamo volere sa sanno so sappiamo "
        "sapere dice dicono dire dico detto vede vedono vedo vediamo vedere viene vengono venire "
        "dà danno dare resta permette diventa sembra",
    },
}

_OTHERS = {
    "ar": {
        "R": "في من على إلى الى عن مع بين حول خلال عند منذ بعد قبل تحت فوق",
        "X": "أنا انا أنت انت هو هي نحن هم أنتم هذا هذه ذلك تلك هؤلاء هنا "
        "هناك الذي التي الذين ما ماذا من كيف لماذا متى أين اين هل لا لم "
        "لن ليس ليست غير إن ان أن انه أنه أنها انها لأن لكن ولكن ثم أو "
        "او و ف قد كما حيث إذا اذا عندما حتى كل بعض أي اي جدا أيضا ايضا "
        "فقط نعم شيء مرحبا بكم جميعا بالنسبة اليوم تفقد أهلا له لها لهم "
        "به بها فيه فيها منه منها عليه عليها لنا لك لي",
        "V": "كان كانت يكون تكون يمكن يجب قال قالت يقول تقول نقول سوف أصبح "
        "هناك نتحدث نتكلم يعني أريد نريد يريد أعتقد نرى سنتحدث سنتكلم "
        "يوجد توجد",
    },
    "hi": {
        "O": "का के की",
        "R": "में से पर को ने तक द्वारा लिए",
        "C": "और या",
        "X": "मैं मैंने मुझे मेरा मेरे मेरी हम हमने हमें हमारा हमारे हमारी "
        "तू तुम तुम्हें आप आपने आपको आपका आपके आपकी वह वो उस उसे उसने "
        "उसका उसके उसकी वे उन उन्हें उन्होंने उनका उनके उनकी यह ये इस "
        "इसे इसने इसका इसके इसकी इन इन्हें इनका इनके इनकी जो जिस जिसे "
        "जिसका जिसके जिसकी जिन कौन क्या कैसे क्यों कब कहाँ कहां कितना "
        "कितने कुछ कोई किसी सब सभी हर अपना अपने अपनी नहीं न मत ही भी तो "
        "कि लेकिन मगर क्योंकि इसलिए अगर यदि जब तब फिर अब यहाँ यहां वहाँ "
        "वहां बहुत ज़्यादा ज्यादा कम हाँ हां जी आज कल साथ बाद पहले ऐसा "
        "ऐसे वैसे मतलब नमस्ते धन्यवाद तरह बारे दोस्तों बात चीज़ चीज",
        "V": "है हैं था थे थी हो हूँ हूं होता होते होती हुआ हुए हुई होना "
        "होगा होंगे होगी गया गए गई जाता जाते जाती जा जाना रहा रहे रही "
        "कर करता करते करती करना किया किए करें करेंगे दिया देता देते "
        "देना लेता लेते लेना सकता सकते सकती चाहिए कहा कहते बताया देखा "
        "देखते",
    },
}

WORD_CLASSES: Mapping[str, Mapping[str, str]] = {
    language: {word: tag for tag, words in classes.items() for word in words.split()}
    for language, classes in {**_ROMANCE, **_OTHERS}.items()
}
"""By ISO 639-1 code: the class of each lower-case word of a closed class."""

ROMANCE = frozenset(_ROMANCE)
"""Languages in which an adjective of more than one kind stands behind its noun."""

_GENERIC_NOUNS_LIST = """
thing things way ways lot lots kind kinds sort sorts bit bits case cases time times moment moments
fact facts point points part parts side sides end place places stuff guy guys person reason
reasons example examples course sense idea ideas day days hand number numbers couple bunch piece
pieces video videos minute minutes second seconds question questions answer thanks today tomorrow
yesterday terms episode episodes podcast show talk something anything everything nothing everyone
someone anybody somebody rest front back start beginning order matter deal level type types yeah
sache sachen ding dinge art weise mal teil stück fall beispiel grund punkt frage moment zeit tag
leute video minute minuten bisschen paar ende anfang chose choses façon manière fois cas point
exemple moment temps gens sorte type côté vidéo cosa cosas vez veces forma manera caso punto
ejemplo momento tiempo gente tipo parte lado vídeo coisa coisas jeito modo exemplo pessoas tempo
cose volta volte esempio gente modo maniera punto persone
"""
GENERIC_NOUNS = frozenset(_GENERIC_NOUNS_LIST.split())
"""Nouns that name nothing by themselves."""
